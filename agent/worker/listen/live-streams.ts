/** Lists the requests in flight for an operator, streams of hours among them, and ends those that were chosen. */
import { maxListedConnections } from '../../../contracts/live-view.ts'
import type { StreamFilter, StreamRow, StreamsAnswer } from '../../../contracts/live-view.ts'
import { ageOf } from './connection-facts.ts'
import type { LiveSource } from './connection-facts.ts'
import type { LiveStream, Movable } from './movable.ts'

const endedByOperator = 'ended by an operator'

export class LiveStreams {
  private readonly source: LiveSource

  constructor(source: LiveSource) {
    this.source = source
  }

  list(filter: StreamFilter): StreamsAnswer {
    return answerOf(this.chosen(filter).map(([row]) => row))
  }

  /** Answers those that it ended: with a status of gRPC for such a call, else by breaking its reply off. */
  close(filter: StreamFilter): StreamsAnswer {
    const chosen = this.chosen(filter)
    for (const [, stream] of chosen) stream.endBy(endedByOperator)
    return answerOf(chosen.map(([row]) => row))
  }

  /** Streams in flight, and the age of the oldest in ms. */
  figures(): { readonly open: number; readonly oldestMs: number } {
    const now = this.source.now()
    let open = 0
    let oldestMs = 0
    for (const connection of this.source.live.all()) {
      for (const { facts } of connection.inFlight?.() ?? []) {
        if (facts === null) continue
        open++
        oldestMs = Math.max(oldestMs, now - facts.startedAt)
      }
    }
    return { open, oldestMs }
  }

  /** The oldest first. */
  private chosen(filter: StreamFilter): [StreamRow, LiveStream][] {
    const found: [StreamRow, LiveStream][] = []
    for (const connection of this.source.live.all()) {
      const facts = connection.describe?.()
      if (connection.inFlight === undefined || facts === undefined) continue
      const peer = `${facts.address}:${facts.port}`
      for (const stream of connection.inFlight()) {
        const row = this.rowOf(connection, stream, peer, facts.sourceApp)
        if (row !== null && matches(row, filter)) found.push([row, stream])
      }
    }
    return found.toSorted(([a], [b]) => b.ageMs - a.ageMs)
  }

  private rowOf(
    connection: Movable,
    { facts, ordinal }: LiveStream,
    peer: string,
    sourceApp: string | undefined,
  ): StreamRow | null {
    if (facts === null) return null
    const { startedAt, ...told } = facts
    return {
      id: `${this.source.pid}-${connection.id}-${ordinal}`,
      listener: connection.listener,
      peer,
      sourceApp: sourceApp ?? '-',
      ageMs: ageOf(this.source, startedAt),
      ...told,
    }
  }
}

function matches(row: StreamRow, { ids, leastMs, listener, peer, service }: StreamFilter): boolean {
  if (ids !== undefined && !ids.includes(row.id)) return false
  if (listener !== undefined && listener !== row.listener) return false
  if (peer !== undefined && peer !== row.peer && peer !== row.peer.slice(0, row.peer.lastIndexOf(':'))) return false
  if (service !== undefined && service !== row.service && !row.service.endsWith(`@@${service}`)) return false
  return leastMs === undefined || row.ageMs >= leastMs
}

function answerOf(rows: readonly StreamRow[]): StreamsAnswer {
  return { streams: rows.slice(0, maxListedConnections), total: rows.length }
}
