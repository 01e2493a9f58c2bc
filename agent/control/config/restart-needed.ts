/**
 * Settings that a running control cannot take up: sockets, directories, connections to registries, and what the
 * watchdog was started with.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AgentConfig } from './types.ts'

const fixed = [
  'role',
  'host',
  'registries',
  'endpoints',
  'dns',
  'serviceDefaults',
  'workers',
  'workerTransport',
  'admin',
  'metrics',
  'readiness',
  'api',
  'nacosFace',
  'runDir',
  'stateDir',
  'servicesDir',
  'rulesDir',
  'watchdog',
  'logging',
] as const satisfies readonly (keyof AgentConfig)[]

/**
 * Names of the settings that differ and wait for a new generation. Port ranges count, because ports are allocated once.
 */
export function restartNeeded(running: AgentConfig, wanted: AgentConfig): string[] {
  const names: string[] = fixed.filter((name) => !isDeepStrictEqual(running[name], wanted[name]))
  if (!isDeepStrictEqual(running.outbound.portRange, wanted.outbound.portRange)) names.push('outbound.portRange')
  if (running.outbound.address !== wanted.outbound.address) names.push('outbound.address')
  if (running.outbound.idleRelease !== wanted.outbound.idleRelease) names.push('outbound.idleRelease')
  if (running.outbound.maxOnDemand !== wanted.outbound.maxOnDemand) names.push('outbound.maxOnDemand')
  if (!isDeepStrictEqual(running.inbound, wanted.inbound)) names.push('inbound')
  return names
}

/** The running configuration with everything of `wanted` that can be taken up at once. */
export function liveConfig(running: AgentConfig, wanted: AgentConfig): AgentConfig {
  const { center, relay, limits, accessLog, tracing, generateRequestId, fallbackNetworks } = wanted
  const outbound = { ...running.outbound, services: wanted.outbound.services, http: wanted.outbound.http }
  return { ...running, outbound, center, relay, limits, accessLog, tracing, generateRequestId, fallbackNetworks }
}
