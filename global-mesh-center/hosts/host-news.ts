/**
 * What the timeline is told of hosts. A few within a second are an event each; many (a switch that is gone, a center
 * that is back) are one event for each thing that happened, so that the room of the timeline is enough for all of them.
 */
import type { Fact, Timeline } from '../../agent/control/events/timeline.ts'
import type { Clock } from '../../contracts/clock.ts'

export type HostFact = Omit<Fact, 'kind' | 'at'>

/** News of so long is told at once, ms. */
const gatherMs = 1000
/** More of them are summed up: ten times so many, or ten of each thing that happens, fit into 10 s of the timeline. */
const maxAlone = 3
/** Of the names in a sum. */
const maxCharacters = 250

interface News extends HostFact {
  /** Epoch ms. */
  readonly at: number
}

export class HostNews {
  private readonly clock: Clock
  private readonly timeline: Pick<Timeline, 'add'>
  private news: News[] = []

  constructor(clock: Clock, timeline: Pick<Timeline, 'add'>) {
    this.clock = clock
    this.timeline = timeline
  }

  add(fact: HostFact): void {
    this.news.push({ ...fact, at: this.clock.wall() })
    if (this.news.length === 1) this.clock.after(gatherMs, () => this.tell())
  }

  /** What is not told yet. */
  tell(): void {
    const { news } = this
    this.news = []
    if (news.length <= maxAlone) return news.forEach((fact) => this.timeline.add({ kind: 'host', ...fact }))
    for (const [what, some] of Map.groupBy(news, (fact) => fact.what)) {
      const [first] = some
      const { at, severity = 'info' } = first!
      if (some.length === 1) this.timeline.add({ kind: 'host', ...first! })
      else
        this.timeline.add({
          kind: 'host',
          about: `${some.length} hosts`,
          what,
          message: named(some.map(({ about }) => about)),
          severity,
          at,
        })
    }
  }
}

/** Pure. */
function named(names: readonly string[]): string {
  let text = names[0]!
  let said = 1
  while (said < names.length && text.length + names[said]!.length <= maxCharacters) text += `, ${names[said++]}`
  return said === names.length ? text : `${text} and ${names.length - said} more`
}
