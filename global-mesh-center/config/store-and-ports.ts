/** The sections `store`, `rulesApi` and `xds`: their paths made absolute, and what no single field of them can tell. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Report } from '../../agent/control/config/node-kind.ts'
import { reportFile } from '../../agent/control/config/readable-file.ts'
import { locatedTls, namedTlsFiles } from '../../agent/control/kinds/tls-files.ts'
import { nacosKind } from '../../agent/control/kinds/nacos.ts'
import { isLoopback } from '../../contracts/ip-literal.ts'
import { readLogins } from '../rules-api/tokens.ts'
import { registryOf } from '../store/nacos-registry.ts'
import type { CenterFile } from './schema.ts'
import type { RulesApiConfig, StoreConfig, XdsConfig } from './types.ts'

export function locatedStore(
  store: CenterFile['store'],
  stateDir: string,
  absolute: (path: string) => string,
): StoreConfig {
  if (store.type === 'files')
    return { type: 'files', directory: store.directory === undefined ? `${stateDir}/store` : absolute(store.directory) }
  if (store.type === 'nacos') {
    const { usernameFile, passwordFile, accessKeyFile, secretKeyFile, tls } = nacosKind.located(
      registryOf(store),
      absolute,
    )
    return { ...store, usernameFile, passwordFile, accessKeyFile, secretKeyFile, tls }
  }
  const { usernameFile, passwordFile, tls } = store
  return {
    ...store,
    usernameFile: usernameFile === undefined ? undefined : absolute(usernameFile),
    passwordFile: passwordFile === undefined ? undefined : absolute(passwordFile),
    tls: tls === undefined ? undefined : locatedTls(tls, absolute),
  }
}

export function locatedPort<Port extends RulesApiConfig | XdsConfig>(
  api: Port,
  absolute: (path: string) => string,
): Port {
  const { tls, tokensFile } = api
  return {
    ...api,
    tls: tls === undefined ? undefined : locatedServerTls(tls, absolute),
    tokensFile: tokensFile === undefined ? undefined : absolute(tokensFile),
  }
}

function locatedServerTls(
  tls: NonNullable<RulesApiConfig['tls']>,
  absolute: (path: string) => string,
): NonNullable<RulesApiConfig['tls']> {
  const { cert, key, clientCa } = tls
  const located = { cert: absolute(cert), key: absolute(key) }
  return clientCa === undefined ? located : { ...located, clientCa: absolute(clientCa) }
}

export function storeProblems(store: StoreConfig, report: Report): void {
  if (store.type === 'files') return
  if (store.type === 'nacos') {
    const section = registryOf(store)
    for (const problem of nacosKind.conflicts(section)) report(['store'], problem)
    for (const { path, file, isSecret } of nacosKind.files(section))
      reportFile(report, ['store', ...path], file, isSecret)
    return
  }
  const { usernameFile, passwordFile, tls } = store
  if ((usernameFile === undefined) !== (passwordFile === undefined))
    report(['store'], 'usernameFile and passwordFile belong together, one is missing')
  reportFile(report, ['store', 'usernameFile'], usernameFile, true)
  reportFile(report, ['store', 'passwordFile'], passwordFile, true)
  for (const { path, file, isSecret } of namedTlsFiles(tls)) reportFile(report, ['store', ...path], file, isSecret)
}

export function portProblems(section: string, port: RulesApiConfig | XdsConfig | undefined, report: Report): void {
  if (port === undefined) return
  const { address, tls, tokensFile, withoutToken } = port
  const takesCertificates = 'clientCertificates' in port && port.clientCertificates
  if (!isLoopback(address.host) && tls === undefined)
    report([section, 'tls'], `missing; ${address.host} is no loopback address, and tokens would be read on the way`)
  if (!isLoopback(address.host) && withoutToken !== 'none')
    report([section, 'withoutToken'], `found ${withoutToken}, allowed none: ${address.host} is no loopback address`)
  if (takesCertificates && tls === undefined)
    report([section, 'clientCertificates'], `needs ${section}.tls: who speaks in plain shows no certificate`)
  if (tokensFile === undefined && withoutToken === 'none' && !takesCertificates)
    report([section, 'tokensFile'], 'missing; nobody could use it. Or say withoutToken, for callers on this machine')
  reportFile(report, [section, 'tls', 'cert'], tls?.cert, false)
  reportFile(report, [section, 'tls', 'key'], tls?.key, true)
  const clientCa = tls !== undefined && 'clientCa' in tls ? tls.clientCa : undefined
  clientCaProblems([section, 'tls', 'clientCa'], clientCa, report)
  // the file may be that of another port, too
  const isCertificateUseless = section === 'rulesApi' && clientCa === undefined
  tokenProblems([section, 'tokensFile'], tokensFile, isCertificateUseless, report)
}

function clientCaProblems(path: readonly string[], file: string | undefined, report: Report): void {
  if (!reportFile(report, path, file, false) || file === undefined) return
  try {
    void new X509Certificate(readFileSync(file))
  } catch {
    report(path, `${file} holds no certificate in PEM`)
  }
}

function tokenProblems(
  path: readonly string[],
  file: string | undefined,
  isCertificateUseless: boolean,
  report: Report,
): void {
  if (!reportFile(report, path, file, true) || file === undefined) return
  try {
    const named = readLogins(readFileSync(file, 'utf8')).find(({ certificate }) => certificate !== undefined)
    if (isCertificateUseless && named !== undefined)
      report(path, `${named.user.name} is known by a certificate, which needs rulesApi.tls.clientCa`)
  } catch (error) {
    report(path, `${file} cannot be used: ${(error as Error).message}`)
  }
}
