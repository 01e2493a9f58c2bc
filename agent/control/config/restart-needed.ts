/**
 * Settings that a running control cannot take up: sockets, directories, connections to registries, and what the
 * watchdog was started with.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AgentConfig } from './types.ts'

/** Taken up at once, or looked at below; every other setting waits, also those of a kind of node alone. */
const live: ReadonlySet<string> = new Set([
  'file',
  'accessLog',
  'center',
  'fallbackNetworks',
  'generateRequestId',
  'inbound',
  'limits',
  'morePorts',
  'outbound',
  'relay',
  'rpcProtocols',
  'tls',
  'tracing',
] satisfies (keyof AgentConfig)[])

/**
 * Names of the settings that differ and wait for a new generation. Port ranges count, because ports are allocated once.
 */
export function restartNeeded(running: AgentConfig, wanted: AgentConfig): string[] {
  const settings = Object.keys(wanted) as (keyof AgentConfig)[]
  const names: string[] = settings.filter((name) => !live.has(name) && !isDeepStrictEqual(running[name], wanted[name]))
  if (!isDeepStrictEqual(running.outbound.portRange, wanted.outbound.portRange)) names.push('outbound.portRange')
  if (running.outbound.address !== wanted.outbound.address) names.push('outbound.address')
  if (running.outbound.idleRelease !== wanted.outbound.idleRelease) names.push('outbound.idleRelease')
  if (running.outbound.maxOnDemand !== wanted.outbound.maxOnDemand) names.push('outbound.maxOnDemand')
  if (!isDeepStrictEqual(running.inbound, wanted.inbound)) names.push('inbound')
  return names
}

/** The running configuration with everything of `wanted` that can be taken up at once. */
export function liveConfig(running: AgentConfig, wanted: AgentConfig): AgentConfig {
  const { center, tls, relay, limits, accessLog, tracing, generateRequestId, fallbackNetworks, rpcProtocols } = wanted
  const { address, portRange, idleRelease, maxOnDemand } = running.outbound
  const outbound = { ...wanted.outbound, address, portRange, idleRelease, maxOnDemand }
  return {
    ...running,
    outbound,
    center,
    tls,
    relay,
    limits,
    accessLog,
    tracing,
    generateRequestId,
    fallbackNetworks,
    rpcProtocols,
  }
}
