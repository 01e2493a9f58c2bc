/**
 * What a drill measures with. On an agent: a small application of its own, put into `services.d` under a name that only
 * this host has, and called through the shared port. On a center: the question that its relay listener answers by
 * itself.
 */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { MeshError } from '../../contracts/errors.ts'
import { probeRequest } from '../../contracts/handoff.ts'
import { maxRelayIdentityBytes, readRelayIdentity, towardsCenter } from '../../contracts/relay-identity.ts'
import { stateFiles } from '../../contracts/run-directory.ts'
import { SecretFile } from '../../native/secret-file.ts'
import { removedAtTheEnd } from './caretaker.ts'
import type { Drill } from './drill.ts'
import { badConfigPath } from './release-drills.ts'
import { startHttpApplication } from '../traffic/applications.ts'
import { type FaultyApplication, startFaultyApplication } from '../traffic/faulty-application.ts'
import { type Caller, startHttpCaller } from '../traffic/callers.ts'
import { relayGreeting } from '../traffic/relay-greeting.ts'

export interface Probe {
  readonly caller: Caller
  /** More callers of the same service; whoever starts one stops it. */
  readonly moreCalls?: (rate: number) => Caller
  /** A second instance of the service. */
  readonly victim?: FaultyApplication
  close(): Promise<void>
}

/** Calls per second. */
export const probeRate = 50
/** Calls may wait for as long as a hang takes to be noticed without the probe running out of them. */
const maxInFlight = 1000

/** By what the drill is for. Each throws E_CONFIG_INVALID when there is no port to call through. */
export const probes: Readonly<
  Record<Drill['role'], (config: AgentConfig, now: () => number, hasVictim: boolean) => Promise<Probe> | Probe>
> = {
  agent: probeAgent,
  center: probeCenter,
}

/** `hostmesh-drill-HOST`: two hosts that drill at the same time must not call each other's probe. */
export function probeServiceOf(host: string): string {
  return `hostmesh-drill-${host.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`
}

/** Of the steady instance, and of the one that some drills break. */
function probeFilesOf(config: AgentConfig): readonly [string, string] {
  const at = (name: string): string => join(config.servicesDir, name)
  return [at('hostmesh-drill.yaml'), at('hostmesh-drill-victim.yaml')]
}

async function probeAgent(config: AgentConfig, now: () => number, hasVictim: boolean): Promise<Probe> {
  const shared = config.outbound.http
  if (shared === 'off') throw new MeshError('E_CONFIG_INVALID', 'outbound.http: off; nothing to call through')
  const service = probeServiceOf(config.host.name)
  const files = probeFilesOf(config)
  const leave = removedAtTheEnd([...files, badConfigPath(config)])
  const applications: { close(): Promise<void> }[] = []
  const close = async (): Promise<void> => {
    for (const file of files) rmSync(file, { force: true })
    await Promise.all([...applications.map((one) => one.close()), leave()])
  }
  const announce = (file: string, port: number): void => {
    const check = { http: '/health', interval: '1s' }
    rmSync(file, { force: true })
    writeFileSync(file, stringify({ service, port, protocol: 'http', check }), { flag: 'wx' })
    // the agent reads it, whoever drills and whatever umask that has
    chmodSync(file, 0o644)
  }
  try {
    const steady = await startHttpApplication(service, 'drill', '127.0.0.1')
    applications.push(steady)
    const victim = hasVictim ? await startFaultyApplication(service, '127.0.0.1') : undefined
    if (victim !== undefined) applications.push(victim)
    if (mkdirSync(config.servicesDir, { recursive: true }) !== undefined) chmodSync(config.servicesDir, 0o755)
    announce(files[0], steady.port)
    if (victim !== undefined) announce(files[1], victim.port)
    const target = { address: shared.host, port: shared.port }
    const call = (atRate: number): Caller =>
      startHttpCaller({ from: 'drill', to: service, ...target, rate: atRate, maxInFlight, now }, service)
    const caller = call(probeRate)
    return {
      caller,
      moreCalls: call,
      ...(victim === undefined ? {} : { victim }),
      close: () => {
        caller.stop()
        return close()
      },
    }
  } catch (cause) {
    await close()
    throw new MeshError('E_CONFIG_UNREADABLE', `${files[0]}: the probe cannot be set up; nothing was broken`, { cause })
  }
}

function probeCenter(config: AgentConfig, now: () => number): Probe {
  const { relay } = config
  if (relay === undefined) throw new MeshError('E_CONFIG_INVALID', 'relay: missing; nothing to call through')
  const identity = join(config.stateDir, stateFiles.relayIdentity)
  const ours = new SecretFile(identity, readRelayIdentity, now, maxRelayIdentityBytes)
  if (relay.mtls === 'strict' && ours.get() === undefined)
    throw new MeshError('E_CONFIG_INVALID', `relay.mtls: strict, and ${ours.problem}; nothing to call through`)
  const caller = startHttpCaller(
    {
      from: 'drill',
      to: 'center',
      address: relay.address.host,
      port: relay.address.port,
      rate: probeRate,
      maxInFlight,
      now,
      path: probeRequest.path,
      greeting: relayGreeting(`${config.host.name} drill`, relay.secretFile, now),
      ...(relay.mtls === 'strict' ? { tls: () => towardsCenter(ours.get()!) } : {}),
    },
    probeRequest.host,
  )
  return { caller, close: async () => caller.stop() }
}
