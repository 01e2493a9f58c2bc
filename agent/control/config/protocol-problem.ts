import { detected, rpcProtocols } from '../../../contracts/protocols.ts'
import type { AppProtocol } from '../../../contracts/protocols.ts'
import type { DescribedProtocol } from '../../../contracts/rpc-description.ts'
import { descriptionProblems } from '../../../rpc/declared/problems.ts'
import { nearest } from './nearest.ts'
import { protocolWords } from './scalars.ts'

export interface ProtocolProblem {
  readonly message: string
  readonly closest: string | undefined
}

/** Of a protocol that is neither ours nor described. `words`: what may stand there beside the described ones. */
export function protocolProblem(
  protocol: AppProtocol,
  described: readonly DescribedProtocol[],
  words: readonly string[] = protocolWords,
): ProtocolProblem | undefined {
  const names = described.map(({ name }) => name)
  if (words.includes(protocol) || names.includes(protocol)) return undefined
  const allowed = [...words, ...names]
  return { message: `found "${protocol}", allowed ${allowed.join(', ')}`, closest: nearest(protocol, allowed) }
}

type Report = (path: readonly PropertyKey[], message: string, severity: 'error', closest?: string) => void

/** What is wrong with the descriptions of private RPC, and with where they are named. */
export function rpcConflicts(
  protocols: readonly DescribedProtocol[],
  outbound: {
    readonly rpc: readonly { readonly protocol: AppProtocol }[]
    readonly sockets: readonly { readonly protocol: AppProtocol }[]
    readonly services: readonly { readonly protocol: AppProtocol }[]
  },
  report: Report,
): void {
  const names: string[] = [...protocolWords, 'auto', 'http1', 'tls', 'https', 'triple']
  for (const [index, protocol] of protocols.entries()) {
    const { name } = protocol
    if (names.includes(name)) report(['rpcProtocols', index, 'name'], `"${name}" is a protocol already`, 'error')
    names.push(name)
    for (const { message, path } of descriptionProblems(protocol)) {
      report(['rpcProtocols', index, ...path], message, 'error')
    }
  }
  for (const [section, words] of [
    ['rpc', [...rpcProtocols, detected]],
    ['sockets', ['http', ...rpcProtocols, detected]],
    ['services', protocolWords],
  ] as const) {
    for (const [index, { protocol }] of outbound[section].entries()) {
      const problem = protocolProblem(protocol, protocols, words)
      if (problem !== undefined) {
        report(['outbound', section, index, 'protocol'], problem.message, 'error', problem.closest)
      }
    }
  }
}
