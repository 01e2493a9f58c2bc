/** Lists live connections for an operator, and ends those that were chosen. */
import { maxListedConnections } from '../../../contracts/live-view.ts'
import type { ConnectionFilter, ConnectionRow, ConnectionsAnswer } from '../../../contracts/live-view.ts'
import { ageOf } from './connection-facts.ts'
import type { LiveSource } from './connection-facts.ts'
import type { Movable } from './movable.ts'

export class ConnectionRows {
  private readonly source: LiveSource

  constructor(source: LiveSource) {
    this.source = source
  }

  list(filter: ConnectionFilter): ConnectionsAnswer {
    const connections: ConnectionRow[] = []
    let total = 0
    for (const connection of this.source.live.all()) {
      const row = this.rowOf(connection, filter)
      if (row === undefined) continue
      total++
      if (connections.length < maxListedConnections) connections.push(row)
    }
    return { connections, total }
  }

  /** Answers those that it told. A pair knows no end of its own: `end` leaves it alone, and it is not in the answer. */
  close(filter: ConnectionFilter, how: 'end' | 'cut'): ConnectionsAnswer {
    const chosen: [Movable, ConnectionRow][] = []
    for (const connection of this.source.live.all()) {
      const row = this.rowOf(connection, filter)
      if (row !== undefined && (how === 'cut' || row.bytesUp === undefined)) chosen.push([connection, row])
    }
    for (const [connection] of chosen) {
      if (how === 'cut' || connection.isIdle) connection.abort()
      else connection.drain()
    }
    return { connections: chosen.slice(0, maxListedConnections).map(([, row]) => row), total: chosen.length }
  }

  private rowOf(connection: Movable, filter: ConnectionFilter): ConnectionRow | undefined {
    const { ids, listener, peer, protocol } = filter
    const id = `${this.source.pid}-${connection.id}`
    if (ids !== undefined && !ids.includes(id)) return undefined
    if (listener !== undefined && connection.listener !== listener) return undefined
    if (protocol !== undefined && connection.protocol !== protocol) return undefined
    const facts = connection.describe?.()
    const at = facts === undefined ? '-' : `${facts.address}:${facts.port}`
    if (peer !== undefined && peer !== at && peer !== facts?.address) return undefined
    return {
      id,
      protocol: connection.protocol,
      listener: connection.listener,
      peer: at,
      sourceApp: facts?.sourceApp ?? '-',
      isIdle: connection.isIdle,
      ageMs: facts === undefined ? 0 : ageOf(this.source, facts.startedAt),
      requests: facts?.requests,
      streams: facts?.streams,
      upstream: facts?.upstream,
      bytesUp: facts?.bytesUp,
      bytesDown: facts?.bytesDown,
    }
  }
}
