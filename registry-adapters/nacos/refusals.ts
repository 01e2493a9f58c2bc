/**
 * What the registry refuses although it can be reached: a wrong password, a missing permission. A living connection is
 * no word of the registry; an answer to what was asked is.
 *
 * A registry that refuses every service that is wanted (or, where none is wanted, every registration) counts as away:
 * `isAway`. One that refuses some is shown with what it refuses.
 */
import type { Clock } from '../../contracts/clock.ts'
import type { MeshError } from '../../contracts/errors.ts'
import type { AdapterLog, AdapterMetrics, RefusedCalls, RegistryProblem } from '../../contracts/registry-adapter.ts'

export type RefusedCall = RefusedCalls['call']

export interface RefusalsDeps {
  readonly registry: string
  readonly clock: Clock
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
  /** As whom we ask, without any secret: `as user "mesh"`. */
  readonly identity: () => string
  /** How many subjects of this kind are wanted. */
  readonly wanted: (call: RefusedCall) => number
  /** Something was answered that had been refused: what else was refused may be asked for again at once. */
  readonly onAnswered: () => void
}

interface Refused {
  readonly subjects: Set<string>
  readonly since: number
  last: MeshError
}

const words: Readonly<Record<RefusedCall, string>> = {
  subscribe: 'subscriptions',
  register: 'registrations',
  documents: 'documents',
}

/** In the order in which they are told. */
const calls: readonly RefusedCall[] = ['subscribe', 'register', 'documents']

export class Refusals {
  private readonly deps: RefusalsDeps
  private readonly byCall = new Map<RefusedCall, Refused>()
  private saidAway = false

  constructor(deps: RefusalsDeps) {
    this.deps = deps
  }

  /** Everything that counts is refused. */
  get isAway(): boolean {
    const call = this.deps.wanted('subscribe') > 0 ? 'subscribe' : 'register'
    const wanted = this.deps.wanted(call)
    return wanted > 0 && (this.byCall.get(call)?.subjects.size ?? 0) >= wanted
  }

  get list(): readonly RefusedCalls[] {
    return calls.flatMap((call) => {
      const refused = this.byCall.get(call)
      if (refused === undefined) return []
      const { subjects, since, last } = refused
      const of = Math.max(subjects.size, this.deps.wanted(call))
      return [{ call, count: subjects.size, of, since, message: last.message }]
    })
  }

  /** undefined = nothing is refused. */
  get problem(): RegistryProblem | undefined {
    const list = this.list
    const [first] = list
    if (first === undefined) return undefined
    const parts = list.map(({ call, count, of }) => `${count} of ${of} ${words[call]}`).join(', ')
    const at = Math.min(...list.map(({ since }) => since))
    return {
      code: 'E_REGISTRY_DENIED',
      message: `it refuses ${parts}, asked ${this.deps.identity()}, since ${new Date(at).toISOString()}: ${first.message}`,
      at,
    }
  }

  refused(call: RefusedCall, subject: string, error: MeshError): void {
    let refused = this.byCall.get(call)
    if (refused === undefined) {
      refused = { subjects: new Set(), since: this.deps.clock.wall(), last: error }
      this.byCall.set(call, refused)
    }
    refused.last = error
    refused.subjects.add(subject)
    this.gauge(call)
    if (this.saidAway || !this.isAway) return
    this.saidAway = true
    this.deps.log.error(
      { registry: this.deps.registry, code: 'E_REGISTRY_DENIED', call },
      `${this.deps.registry}: ${this.problem!.message}; what was known before stays in use, and it is asked again`,
    )
  }

  /** It was answered, whatever the answer says. */
  answered(call: RefusedCall, subject: string): void {
    if (!this.drop(call, subject)) return
    if (this.saidAway && !this.isAway) {
      this.saidAway = false
      this.deps.log.info(
        { registry: this.deps.registry, call },
        `${this.deps.registry}: it does not refuse everything any more`,
      )
    }
    this.deps.onAnswered()
  }

  /** It is not wanted any more. */
  forget(call: RefusedCall, subject: string): void {
    this.drop(call, subject)
  }

  private drop(call: RefusedCall, subject: string): boolean {
    const refused = this.byCall.get(call)
    if (refused === undefined || !refused.subjects.delete(subject)) return false
    if (refused.subjects.size === 0) this.byCall.delete(call)
    this.gauge(call)
    return true
  }

  private gauge(call: RefusedCall): void {
    const count = this.byCall.get(call)?.subjects.size ?? 0
    this.deps.metrics.gauge('registry_refused', { registry: this.deps.registry, call }, count)
  }
}
