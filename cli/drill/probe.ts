/**
 * What a drill measures with. On an agent: a small application of its own, put into `services.d` under a name that only
 * this host has, and called through the shared port. On a center: the question that its relay listener answers by
 * itself.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { MeshError } from '../../contracts/errors.ts'
import { probeRequest } from '../../contracts/handoff.ts'
import { encodeProxyV2, relayTlvs } from '../../contracts/proxy-protocol.ts'
import { encodeProvenHeader, readRelayKeys } from '../../contracts/relay-proof.ts'
import { SecretFile } from '../../native/secret-file.ts'
import { startHttpApplication } from '../traffic/applications.ts'
import { type Caller, startHttpCaller } from '../traffic/callers.ts'

export interface Probe {
  readonly caller: Caller
  close(): Promise<void>
}

/** Calls per second. */
const rate = 50
/** Calls may wait for as long as a hang takes to be noticed without the probe running out of them. */
const maxInFlight = 1000

/** Throws E_CONFIG_INVALID when there is no port to call through. */
export async function startProbe(config: AgentConfig, now: () => number): Promise<Probe> {
  return config.role === 'center' ? probeCenter(config, now) : probeAgent(config, now)
}

/** `hostmesh-drill-HOST`: two hosts that drill at the same time must not call each other's probe. */
export function probeServiceOf(host: string): string {
  return `hostmesh-drill-${host.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`
}

export function probeFileOf(config: AgentConfig): string {
  return join(config.servicesDir, 'hostmesh-drill.yaml')
}

async function probeAgent(config: AgentConfig, now: () => number): Promise<Probe> {
  const shared = config.outbound.http
  if (shared === 'off') throw new MeshError('E_CONFIG_INVALID', 'outbound.http: off; nothing to call through')
  const service = probeServiceOf(config.host.name)
  const application = await startHttpApplication(service, 'drill', '127.0.0.1')
  const file = probeFileOf(config)
  try {
    mkdirSync(config.servicesDir, { recursive: true })
    const check = { http: '/health', interval: '1s' }
    writeFileSync(file, stringify({ service, port: application.port, protocol: 'http', check }))
  } catch (cause) {
    await application.close()
    throw new MeshError('E_CONFIG_UNREADABLE', `${file}: cannot be written; nothing was broken`, { cause })
  }
  const target = { address: shared.host, port: shared.port }
  const caller = startHttpCaller({ from: 'drill', to: service, ...target, rate, maxInFlight, now }, service)
  return {
    caller,
    close: async () => {
      caller.stop()
      rmSync(file, { force: true })
      await application.close()
    },
  }
}

function probeCenter(config: AgentConfig, now: () => number): Probe {
  const { relay } = config
  if (relay === undefined) throw new MeshError('E_CONFIG_INVALID', 'relay: missing; nothing to call through')
  const tlvs = relayTlvs({ service: '', host: `${config.host.name} drill`, listener: 'drill' })
  const header = { command: 'local', source: undefined, destination: undefined, tlvs } as const
  const secret = relay.secretFile === undefined ? undefined : new SecretFile(relay.secretFile, readRelayKeys, now)
  const caller = startHttpCaller(
    {
      from: 'drill',
      to: 'center',
      address: relay.address.host,
      port: relay.address.port,
      rate,
      maxInFlight,
      now,
      path: probeRequest.path,
      greeting: () => {
        const key = secret?.get()?.[0]
        return key === undefined ? encodeProxyV2(header) : encodeProvenHeader(header, key, Date.now(), randomBytes(16))
      },
    },
    probeRequest.host,
  )
  return { caller, close: async () => caller.stop() }
}
