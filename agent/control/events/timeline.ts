/**
 * What happened on this node, in the order in which it was learned: bounded, and kept over restarts.
 *
 * Bounds: the newest 2,000 events, and of one kind the newest 500, so that a flood of one kind drives out no other; 50
 * of a kind within 10 s, further ones are dropped and counted (`hostmesh_events_dropped_total`); what a generation
 * learns before it leads waits, at most 500. Texts are cut to 300 characters and hold no control characters.
 *
 * Only the leading generation keeps events: two generations would tell everything twice.
 */
import type { AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import { eventKinds, type EventKind, type EventsAnswer, type MeshEvent } from '../../../contracts/events.ts'
import type { Clock } from '../clock.ts'
import { cleanText } from './clean-text.ts'

export interface Fact extends Pick<MeshEvent, 'kind' | 'about' | 'what' | 'message'> {
  /** Absent = info. */
  readonly severity?: MeshEvent['severity']
  /** Epoch ms; absent = now. */
  readonly at?: number
}

/** Of a thing that is in some state: news only when its newest event said something else. */
export interface StateFact extends Fact {
  /** The state that nobody needs to be told of where nothing else was said before. */
  readonly isNormal?: boolean
  /** News only where the newest event said this. */
  readonly onlyAfter?: string
  /** `at` says when it happened: what is no later than the newest event is old. */
  readonly isOrdered?: boolean
}

type DatedFact = Fact & { readonly at: number }

export interface EventQuery {
  /** Only later ones. */
  readonly after?: number
  /** Epoch ms; absent = all. */
  readonly since?: number
  readonly kinds?: ReadonlySet<string>
  /** The newest so many. */
  readonly limit?: number
}

export interface TimelineDeps {
  readonly clock: Clock
  readonly metrics: AdapterMetrics
  onChanged(): void
}

const maxEvents = 2000
const maxOfKind = 500
const maxWaiting = 500
const maxInWindow = 50
const windowMs = 10_000
const maxAbout = 300
const maxMessage = 300

export class Timeline {
  private readonly deps: TimelineDeps
  private events: MeshEvent[] = []
  /** Newest event by kind and whom it is about. */
  private readonly newest = new Map<string, MeshEvent>()
  private readonly counts = new Map<EventKind, number>()
  private readonly windows = new Map<EventKind, { from: number; count: number }>()
  private waiting: (() => void)[] | undefined = []
  private nextId = 1

  constructor(deps: TimelineDeps) {
    this.deps = deps
  }

  /** Something happened. */
  add(fact: Fact): void {
    this.whenLeading(this.dated(fact), (dated) => this.keep(dated))
  }

  /** Something is in this state now: an event if its newest one says another state or another reason. */
  turn(fact: StateFact): void {
    this.whenLeading(this.dated(fact), (dated) => {
      const before = this.newest.get(keyOf(fact.kind, cleanText(fact.about, maxAbout)))
      if (fact.onlyAfter !== undefined && before?.what !== fact.onlyAfter) return
      if (fact.isOrdered === true && before !== undefined && dated.at <= before.at) return
      if (before === undefined ? fact.isNormal === true : isSame(before, fact)) return
      this.keep(dated)
    })
  }

  /** The newest event about each thing of a kind, where it was not `normal`. */
  open(kind: EventKind, normal: string): MeshEvent[] {
    return [...this.newest.values()].filter((event) => event.kind === kind && event.what !== normal)
  }

  query({ after = 0, since = 0, kinds, limit = maxEvents }: EventQuery = {}): EventsAnswer {
    const newest = this.nextId - 1
    // whoever has seen more than there is has seen another timeline
    const from = after > newest ? 0 : after
    const found = this.events.filter(
      ({ at, id, kind }) => id > from && at >= since && (kinds === undefined || kinds.has(kind)),
    )
    // control may hear of something later than of what followed it
    const events = found.slice(-limit).sort((one, other) => one.at - other.at)
    return { events, newest, oldest: this.events[0]?.id ?? 0 }
  }

  /** This generation leads: what the last one kept comes first, then what was learned meanwhile. */
  takeOver(kept: unknown): void {
    this.restore(kept)
    const { waiting = [] } = this
    this.waiting = undefined
    for (const add of waiting) add()
  }

  /** Another generation leads: nothing more is kept. */
  retire(): void {
    this.waiting = []
  }

  exportState(): unknown {
    return { nextId: this.nextId, events: this.events }
  }

  private restore(kept: unknown): void {
    const { events, nextId } = Object(kept) as { events?: unknown; nextId?: unknown }
    if (!Array.isArray(events)) return
    this.events = (events as unknown[]).filter(isEvent).slice(-maxEvents)
    const highest = this.events.at(-1)?.id ?? 0
    this.nextId = Math.max(highest + 1, Number.isSafeInteger(nextId) ? (nextId as number) : 1)
    for (const event of this.events) {
      this.newest.set(keyOf(event.kind, event.about), event)
      this.counts.set(event.kind, (this.counts.get(event.kind) ?? 0) + 1)
    }
  }

  private dated(fact: Fact): DatedFact {
    return { ...fact, at: fact.at ?? this.deps.clock.wall() }
  }

  private whenLeading(fact: DatedFact, add: (fact: DatedFact) => void): void {
    if (this.waiting === undefined) add(fact)
    else if (this.waiting.length < maxWaiting) this.waiting.push(() => add(fact))
    else this.dropped(fact.kind)
  }

  private keep({ about, at, kind, message, severity = 'info', what }: DatedFact): void {
    if (!this.hasRoom(kind)) return this.dropped(kind)
    const event: MeshEvent = {
      id: this.nextId++,
      at,
      kind,
      severity,
      about: cleanText(about, maxAbout),
      what,
      message: cleanText(message, maxMessage),
    }
    this.events.push(event)
    this.newest.set(keyOf(kind, event.about), event)
    const count = (this.counts.get(kind) ?? 0) + 1
    this.counts.set(kind, count)
    if (count > maxOfKind) this.forget(this.events.findIndex((one) => one.kind === kind))
    else if (this.events.length > maxEvents) this.forget(0)
    this.deps.metrics.count('events', { kind })
    this.deps.onChanged()
  }

  private forget(index: number): void {
    const [gone] = this.events.splice(index, 1)
    if (gone === undefined) return
    this.counts.set(gone.kind, this.counts.get(gone.kind)! - 1)
    const key = keyOf(gone.kind, gone.about)
    if (this.newest.get(key) === gone) this.newest.delete(key)
  }

  private hasRoom(kind: EventKind): boolean {
    const now = this.deps.clock.monotonic()
    let window = this.windows.get(kind)
    if (window === undefined || now - window.from >= windowMs) {
      window = { from: now, count: 0 }
      this.windows.set(kind, window)
    }
    return window.count++ < maxInWindow
  }

  private dropped(kind: EventKind): void {
    this.deps.metrics.count('events_dropped', { kind })
  }
}

function keyOf(kind: EventKind, about: string): string {
  return `${kind} ${about}`
}

function isSame(event: MeshEvent, fact: Fact): boolean {
  return event.what === fact.what && event.message === cleanText(fact.message, maxMessage)
}

/** The file is ours, but a damaged or future one must not end control. */
function isEvent(value: unknown): value is MeshEvent {
  const { about, at, id, kind, message, severity, what } = Object(value) as Record<keyof MeshEvent, unknown>
  return (
    Number.isSafeInteger(id) &&
    Number.isFinite(at) &&
    (eventKinds as readonly unknown[]).includes(kind) &&
    [about, message, severity, what].every((text) => typeof text === 'string')
  )
}
