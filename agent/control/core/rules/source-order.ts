/** Which source decides where several hold the same resource. */
import type { RuleState } from '../../../../contracts/rule-status.ts'
import { candidateName } from './candidate-source.ts'
import type { RuleSource } from './rule-source.ts'

export interface SourceOrder {
  /** What this host alone was told; absent = there is none. */
  readonly localSource?: string
  /** Those of registries, the first decides; all others come after them, by name. */
  readonly sourceOrder?: readonly string[]
}

/** A dry run, what this host alone was told, registries as they are configured, then the others. */
export function inOrder(
  sources: Iterable<RuleSource>,
  { localSource, sourceOrder = [] }: SourceOrder,
): readonly RuleSource[] {
  const rank = ({ name }: RuleSource): number => {
    if (name === candidateName) return -2
    if (name === localSource) return -1
    const at = sourceOrder.indexOf(name)
    return at < 0 ? sourceOrder.length : at
  }
  return [...sources].toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1))
}

/** How a resource stands that another source holds, too, and decides with. Word for word the same is no fault. */
export function doubled(
  id: string,
  source: RuleSource,
  winner: RuleSource,
  { localSource }: SourceOrder,
): { readonly state: RuleState; readonly message: string } {
  const isSame = source.good.get(id)?.resource.fingerprint === winner.good.get(id)?.resource.fingerprint
  return {
    state: isSame || winner.name === localSource ? 'overridden' : 'conflict',
    message: `the same resource comes from source ${winner.name}, which decides${isSame ? ' and says the same' : ''}; this one is not used`,
  }
}
