/**
 * Whether an application may be where it says it is: on this host, and not at a port of the agent itself, which would
 * be a loop, or a way around a guard.
 */
import { networkInterfaces } from 'node:os'
import { isLoopback, isSameAddress } from '../../../../contracts/ip-literal.ts'
import { ownAddresses } from '../../config/own-addresses.ts'
import type { PortRange } from '../../config/scalars.ts'
import type { AgentConfig } from '../../config/types.ts'

/**
 * An address that connections from this host end at on this host. Never link-local: cloud metadata services answer
 * there.
 */
export function isLocalAddress(address: string, hostAddress: string): boolean {
  if (/^(?:169\.254\.|fe[89ab][0-9a-f]:)/i.test(address)) return false
  if (isLoopback(address) || address === hostAddress) return true
  return Object.values(networkInterfaces()).some((list) => list?.some((one) => one.address === address))
}

/**
 * Which of the agent's own ports an address is, or undefined. The ranges of ports are ours as a whole: one that is free
 * now may be allocated next.
 */
export function ownPort(config: AgentConfig, address: string, port: number): string | undefined {
  const isHere = (host: string): boolean => isSameAddress(host, address) || isAny(host) || isAny(address)
  const listed = ownAddresses(config).find((one) => one.port === port && isHere(one.host))
  if (listed !== undefined) return listed.path.join('.')
  const { inbound, outbound } = config
  if (isHere(outbound.address) && outbound.services.some((one) => one.port === port)) return 'outbound.services'
  const ranges: [string, string, PortRange][] = [
    ['outbound.portRange', outbound.address, outbound.portRange],
    ['inbound.portRange', inbound.address, inbound.portRange],
  ]
  for (const [name, host, range] of ranges) if (port >= range.first && port <= range.last && isHere(host)) return name
  return undefined
}

/** Whether a listener there is at every address of the host. */
export function isAny(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/** Why no application can be there, for whoever asked; undefined = it can. */
export function placeProblem(config: AgentConfig, address: string, port: number): string | undefined {
  if (!isLocalAddress(address, config.host.address))
    return `${address}: no address of this host; an agent announces applications of its own host only`
  const own = ownPort(config, address, port)
  return own === undefined
    ? undefined
    : `${address}:${port}: a port of the agent itself (${own}); nothing can be announced there`
}
