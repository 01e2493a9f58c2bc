/** The events of the node as a page holds them: all at first, then what came since, one question at a time. */
import type { Events, MeshEvent } from './shapes.ts'

const most = 2000

export class EventFeed {
  private readonly ask: (after: number) => Promise<Events>
  private readonly onEvents: (events: readonly MeshEvent[]) => void
  private events: readonly MeshEvent[] = []
  /** Number of the newest event; -1 = the node has not answered yet, 0 = it has none. */
  private newest = -1
  private isAsking = false

  constructor(ask: (after: number) => Promise<Events>, onEvents: (events: readonly MeshEvent[]) => void) {
    this.ask = ask
    this.onEvents = onEvents
  }

  /** All that the node has. */
  begin({ events, newest }: Events): void {
    this.newest = newest
    this.show(events)
  }

  /** Never rejects: what has no answer is asked again the next time. */
  async look(): Promise<void> {
    if (this.isAsking || this.newest < 0) return
    this.isAsking = true
    const after = this.newest
    try {
      const { events, newest } = await this.ask(after)
      // all of them came meanwhile
      if (this.newest !== after) return
      this.newest = newest
      const isAnew = newest < after
      if (isAnew || events.length > 0) this.show([...(isAnew ? [] : this.events), ...events])
    } catch {
      // the page says so where it asks for all
    } finally {
      this.isAsking = false
    }
  }

  private show(events: readonly MeshEvent[]): void {
    this.events = events.slice(-most)
    this.onEvents(this.events)
  }
}
