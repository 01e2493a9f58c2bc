import { isLoopback } from '../../../contracts/ip-literal.ts'
import type { AgentConfig } from './types.ts'

/** Whoever reaches a port of tunnels speaks for this host: such a port is for its own applications alone. */
export function tunnelProblems({
  http,
  tunnels,
}: Pick<AgentConfig['outbound'], 'http' | 'tunnels'>): { path: string[]; message: string }[] {
  const problems: { path: string[]; message: string }[] = []
  const { address, sharedPort } = tunnels
  if (address !== undefined && !isLoopback(address.host))
    problems.push({
      path: ['outbound', 'tunnels', 'address'],
      message: `${address.host} is no loopback address; a tunnel takes callers of this host alone`,
    })
  if (!sharedPort) return problems
  const path = ['outbound', 'tunnels', 'sharedPort']
  if (http === 'off') problems.push({ path, message: 'outbound.http is off' })
  else if (!isLoopback(http.host))
    problems.push({ path, message: `outbound.http is at ${http.host}, which is no loopback address` })
  return problems
}
