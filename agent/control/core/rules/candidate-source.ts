/** The text of a dry run as a source: before all others in their order, so that its version of a rule decides. */
import { noReadGuard } from './read-guard.ts'
import type { HostScope } from './rule-host.ts'
import { RuleSource } from './rule-source.ts'

export const candidateName = '!candidate'

/**
 * What takes the place of a rule that this host alone was told is of this host alone, too.
 *
 * @param local what this host alone was told
 */
export function candidateSource(text: string, scope: HostScope, local: RuleSource | undefined): RuleSource {
  const source = read(text, scope)
  const replacesLocal = local !== undefined && [...source.good.keys()].some((id) => local.good.has(id))
  return replacesLocal ? read(text, { ...scope, isLocal: true }) : source
}

function read(text: string, scope: HostScope): RuleSource {
  const source = new RuleSource(candidateName, scope, noReadGuard)
  source.replace([{ name: candidateName, text }])
  return source
}
