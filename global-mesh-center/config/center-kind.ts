/** A global mesh center, as a kind of node: `center.yaml`, and what it says by itself. */
import type { NodeKind } from '../../agent/control/config/node-kind.ts'
import { relaySecretProblem } from '../../agent/control/config/relay-secret.ts'
import { caProblems, locatedCa } from '../ca/section.ts'
import { apiSection, centerFileSchema, type CenterFile } from './schema.ts'
import { locatedPort, locatedStore, portProblems, storeProblems } from './store-and-ports.ts'
import type { CenterConfig } from './types.ts'

const defaultStateDir = '/var/lib/hostmesh-center'

export const centerKind: NodeKind<CenterFile, CenterConfig> = {
  role: 'center',
  command: 'center',
  entry: 'global-mesh-center/main',
  schema: centerFileSchema,
  defaults: {
    runDir: '/run/hostmesh-center',
    stateDir: defaultStateDir,
    servicesDir: 'center-services.d',
    outboundHttp: 'off',
  },
  resolve({ relay, api, store, rulesApi, xds, ca, hosts, rateLimits, stateDir }, absolute) {
    const secretFile = relay?.secretFile === undefined ? undefined : absolute(relay.secretFile)
    return {
      gateway: undefined,
      morePorts: [
        ...(rulesApi === undefined ? [] : [{ ...rulesApi.address, path: ['rulesApi', 'address'] }]),
        ...(xds === undefined ? [] : [{ ...xds.address, path: ['xds', 'address'] }]),
        ...(ca === undefined ? [] : [{ ...ca.address, path: ['ca', 'address'] }]),
      ],
      store: locatedStore(store, absolute(stateDir ?? defaultStateDir), absolute),
      rulesApi: rulesApi === undefined ? undefined : locatedPort(rulesApi, absolute),
      xds: xds === undefined ? undefined : locatedPort(xds, absolute),
      hosts,
      rateLimits,
      center: { addresses: [], secretFile: undefined, reports: undefined, mtls: false },
      relay: relay === undefined ? undefined : { ...relay, secretFile },
      api: api ?? apiSection.parse({}),
      ca: ca === undefined ? undefined : locatedCa(ca, absolute),
    }
  },
  conflicts({ relay, store, rulesApi, xds, ca, rateLimits, tls }, report) {
    if (ca !== undefined) caProblems(ca, store.type !== 'files', report)
    storeProblems(store, report)
    portProblems('rulesApi', rulesApi, report)
    portProblems('xds', xds, report)
    if (xds?.clientCertificates === true && ca === undefined)
      report(['xds', 'clientCertificates'], 'needs ca: this center is no authority, and knows no certificate')
    if (rateLimits !== undefined && xds === undefined) report(['rateLimits'], 'needs xds: hosts ask at its port')
    if (relay === undefined)
      return report(
        ['relay', 'allowedNetworks'],
        'missing; name the networks of the hosts that may use this center, as in allowedNetworks: [10.0.0.0/8]',
      )
    if (relay.mtls === 'strict' && ca === undefined && tls.identities.length === 0)
      report(['relay', 'mtls'], 'strict without a certificate takes nobody; give the center `ca` or `tls.identities`')
    if (relay.secretFile === undefined && relay.mtls !== 'strict')
      report(
        ['relay', 'secretFile'],
        'missing; whoever is in relay.allowedNetworks can call every service through this center',
        'warning',
      )
    else if (relay.secretFile !== undefined) {
      const reason = relaySecretProblem(relay.secretFile)
      if (reason !== undefined) report(['relay', 'secretFile'], reason)
    }
    if (relay.allowedNetworks.some((network) => network.endsWith('/0')))
      report(['relay', 'allowedNetworks'], 'lets everybody in; name the networks of your hosts', 'warning')
  },
}
