/**
 * Which mode is in force for each service. It is changed only when the other one can serve: towards `direct`, once the
 * registry has named an endpoint; towards `mesh`, once the agent answers and knows the service. Until then the
 * service stays where it is, and `problem` says why. Calls that are under way end where they began.
 */
import type { Clock } from '../../contracts/clock.ts'
import type { Mode } from '../options.ts'
import type { ActiveMode } from '../status.ts'

export interface ActiveModesDeps {
  readonly clock: Clock
  readonly wanted: (name: string) => Mode
  /** What mode `auto` means now. */
  readonly automatic: () => ActiveMode
  readonly hasRegistry: boolean
  /** Makes a mode ready; undefined = it can serve, else why not yet. Asked again until it can, or nobody wants it. */
  readonly prepare: (name: string, mode: ActiveMode) => string | undefined
  /** The mode was left. */
  readonly onLeft: (name: string, mode: ActiveMode) => void
  readonly onChange: (name: string, mode: ActiveMode) => void
}

interface Subject {
  activeMode: ActiveMode
  /** Why the mode that is wanted is not in force yet. */
  problem: string | undefined
  usedAt: number
}

/** Between two looks at a change that waits, ms. */
const againMs = 100
/** Services whose mode is remembered; above it the one that was used longest ago is forgotten. */
const maxServices = 2000

export class ActiveModes {
  private readonly deps: ActiveModesDeps
  private readonly subjects = new Map<string, Subject>()
  private cancel: (() => void) | undefined
  /** Changes of mode so far. */
  changes = 0

  constructor(deps: ActiveModesDeps) {
    this.deps = deps
  }

  /** The mode of a call that begins now. The first one takes the wanted mode at once: there is nothing to stay with. */
  of(name: string): ActiveMode {
    const present = this.subjects.get(name)
    if (present !== undefined) {
      present.usedAt = this.deps.clock.monotonic()
      return present.activeMode
    }
    if (this.subjects.size >= maxServices) this.forgetOldest()
    const activeMode = this.wanted(name)
    this.subjects.set(name, { activeMode, problem: undefined, usedAt: this.deps.clock.monotonic() })
    this.deps.prepare(name, activeMode)
    return activeMode
  }

  /** Something that decides about modes is new. */
  review(): void {
    this.cancel?.()
    this.cancel = undefined
    let isWaiting = false
    for (const [name, subject] of this.subjects) {
      const wanted = this.wanted(name)
      if (wanted === subject.activeMode) {
        if (subject.problem !== undefined) this.deps.onLeft(name, wanted === 'mesh' ? 'direct' : 'mesh')
        subject.problem = undefined
        continue
      }
      subject.problem = this.deps.prepare(name, wanted)
      if (subject.problem !== undefined) {
        isWaiting = true
        continue
      }
      const left = subject.activeMode
      subject.activeMode = wanted
      this.changes++
      this.deps.onChange(name, wanted)
      this.deps.onLeft(name, left)
    }
    if (isWaiting) this.cancel = this.deps.clock.after(againMs, () => this.review())
  }

  each(): readonly { readonly name: string; readonly activeMode: ActiveMode; readonly problem: string | undefined }[] {
    return [...this.subjects].map(([name, { activeMode, problem }]) => ({ name, activeMode, problem }))
  }

  close(): void {
    this.cancel?.()
    this.subjects.clear()
  }

  private wanted(name: string): ActiveMode {
    const mode = this.deps.wanted(name)
    if (!this.deps.hasRegistry) return 'mesh'
    if (mode !== 'auto') return mode
    return this.deps.automatic()
  }

  private forgetOldest(): void {
    let oldest: readonly [string, Subject] | undefined
    for (const one of this.subjects) if (oldest === undefined || one[1].usedAt < oldest[1].usedAt) oldest = one
    if (oldest === undefined) return
    this.subjects.delete(oldest[0])
    this.deps.onLeft(oldest[0], oldest[1].activeMode)
  }
}
