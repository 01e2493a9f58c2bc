import { LogPause } from '../../../contracts/log-pause.ts'
import { checkProof, proofAgeMs, readRelayKeys } from '../../../contracts/relay-proof.ts'
import type { ProofVerdict } from '../../../contracts/relay-proof.ts'
import { SecretFile } from '../../../native/secret-file.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'

/**
 * Numbers remembered in each half of their time; beyond it connections are refused, for a number that is forgotten too
 * early could come again.
 */
const maxNumbers = 200_000

export interface RelayProofsDeps {
  readonly tallies: Tallies
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
  /** Epoch ms. */
  readonly wallClock: () => number
  /** Monotonic ms. */
  readonly now: () => number
}

/**
 * Where a center's relay listener names a secret file, each connection that does not come in mutual TLS must prove that
 * it comes from somebody who knows the secret (`contracts/relay-proof.ts`), with a header that did not come before. A
 * file that cannot be used admits nobody. Each worker remembers for itself: a header that was overheard can be used
 * once more at each of the other workers, while it is young.
 */
export class RelayProofs implements IntakeStep {
  private readonly deps: RelayProofsDeps
  private file: SecretFile<readonly Buffer[]> | undefined
  private young = new Set<string>()
  private old = new Set<string>()
  private turnedAt: number
  private readonly pause = new LogPause()

  constructor(deps: RelayProofsDeps) {
    this.deps = deps
    this.turnedAt = deps.now()
  }

  begin(arriving: Arriving, next: NextStep): void {
    const { introduction, spec } = arriving
    const hasProvedItself = arriving.transport.peer().identity.kind === 'spiffe'
    if (spec.kind !== 'relay' || spec.secretFile === undefined || hasProvedItself) {
      next(arriving)
      return
    }
    const { deps } = this
    if (this.file?.path !== spec.secretFile) this.file = new SecretFile(spec.secretFile, readRelayKeys, deps.now)
    const keys = this.file.get()
    const refusal =
      keys === undefined
        ? this.file.problem
        : introduction === null
          ? 'no header'
          : this.judge(checkProof(introduction.bytes, introduction.header, keys, deps.wallClock()))
    if (refusal === undefined) {
      next(arriving)
      return
    }
    deps.tallies.relayProofs++
    if (this.pause.allows(deps.now()))
      deps.log('warn', `relayed connection from ${arriving.transport.peer().address} refused: ${refusal}`)
    arriving.end()
  }

  /** Why not; undefined = admitted. */
  private judge(verdict: ProofVerdict): string | undefined {
    switch (verdict.kind) {
      case 'good':
        return this.remember(verdict.number)
      case 'missing':
        return 'it brings no proof; give its host the secret of this center (center.secretFile)'
      case 'stale':
        return `its proof is more than ${proofAgeMs / 1000} s away from the time here; set the clocks`
      default:
        return 'its proof is of another secret'
    }
  }

  private remember(number: string): string | undefined {
    const now = this.deps.now()
    // A proof is good for `proofAgeMs` on either side of now: two halves of twice that time cover it.
    if (now - this.turnedAt >= 2 * proofAgeMs) {
      this.old = now - this.turnedAt >= 4 * proofAgeMs ? new Set() : this.young
      this.young = new Set()
      this.turnedAt = now
    }
    if (this.young.has(number) || this.old.has(number)) return 'its header came before'
    if (this.young.size >= maxNumbers) return `more than ${maxNumbers} connections within ${(2 * proofAgeMs) / 1000} s`
    this.young.add(number)
    return undefined
  }
}
