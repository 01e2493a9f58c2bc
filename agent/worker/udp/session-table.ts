/**
 * The sessions of one UDP port, and who may begin one. Addresses of datagrams can be made up, so a session counts for
 * little until its caller has answered an answer: only whoever receives at an address can do that.
 *
 * While less than half of the places are taken, everybody may begin a session. From there on:
 *
 * - At the bound a new session takes the place of the oldest one that is not proven; where all are, it is refused.
 * - An address gets a quarter of the places; beyond it a new session of its takes the place of one of its own.
 * - As many sessions may begin in a second as there are places, a quarter of them for addresses beyond their share:
 *   what a flood costs is bounded.
 *
 * So a flood with made-up addresses replaces its own sessions and those of callers that have just begun, and never ends
 * a proven one.
 */
import type { SenderKey } from '../../../native/datagram-batch.ts'

export interface TableSession {
  readonly key: SenderKey
  readonly sourceAddress: string
  /** It sent something after it had got something. */
  isProven: boolean
  /** Gives its place to another one; takes itself out of the table. */
  giveWay(): void
}

/** Why a session may not begin: all places are proven; its address has its share; too many begin. */
export type NoRoom = 'overflow' | 'share' | 'rate'

interface Source {
  count: number
  /** Those that are not proven, oldest first. */
  readonly young: Set<TableSession>
}

export class SessionTable<S extends TableSession> {
  private readonly sessions = new Map<SenderKey, S>()
  private readonly young = new Set<S>()
  private readonly sources = new Map<string, Source>()
  private readonly starts = { tokens: 0, at: 0 }
  private readonly startsOverShare = { tokens: 0, at: 0 }

  get size(): number {
    return this.sessions.size
  }

  all(): Iterable<S> {
    return this.sessions.values()
  }

  get(key: SenderKey): S | undefined {
    return this.sessions.get(key)
  }

  /** Finds a place for a session of this address, at the price of another one where it must be. `now`: monotonic ms. */
  makeRoom(source: string, bound: number, now: number): NoRoom | null {
    const { size } = this.sessions
    if (size * 2 < bound) return null
    return this.begin(source, bound, now, bound, size >= bound)
  }

  /** The same where another limit is reached, by those that are here: one of them gives its place. */
  makeWay(source: string, bound: number, now: number): NoRoom | null {
    return this.begin(source, this.sessions.size, now, bound, true)
  }

  /** Where there are `places`, of which an address gets a quarter. `perSecond`: sessions that may begin. */
  private begin(source: string, places: number, now: number, perSecond: number, isFull: boolean): NoRoom | null {
    const own = this.sources.get(source)
    const isOverShare = own !== undefined && own.count >= Math.max(1, Math.floor(places / 4))
    const starts = isOverShare ? this.startsOverShare : this.starts
    if (!takeToken(starts, isOverShare ? Math.max(1, Math.floor(perSecond / 4)) : perSecond, now)) return 'rate'
    if (!isOverShare && !isFull) return null
    const [oldest] = isOverShare ? own.young : this.young
    if (oldest === undefined) return isOverShare ? 'share' : 'overflow'
    oldest.giveWay()
    return null
  }

  add(session: S): void {
    const { key, sourceAddress: source } = session
    this.sessions.set(key, session)
    let own = this.sources.get(source)
    if (own === undefined) {
      own = { count: 0, young: new Set() }
      this.sources.set(source, own)
    }
    own.count++
    if (session.isProven) return
    own.young.add(session)
    this.young.add(session)
  }

  prove(session: S): void {
    session.isProven = true
    this.young.delete(session)
    this.sources.get(session.sourceAddress)?.young.delete(session)
  }

  remove(session: S): void {
    if (this.sessions.get(session.key) !== session) return
    this.sessions.delete(session.key)
    this.young.delete(session)
    const own = this.sources.get(session.sourceAddress)!
    own.young.delete(session)
    if (--own.count === 0) this.sources.delete(session.sourceAddress)
  }
}

/** A bucket of a quarter of a second that fills at `perSecond`. */
function takeToken(bucket: { tokens: number; at: number }, perSecond: number, now: number): boolean {
  const most = Math.max(1, perSecond / 4)
  bucket.tokens = Math.min(most, bucket.tokens + ((now - bucket.at) * perSecond) / 1000)
  bucket.at = now
  if (bucket.tokens < 1) return false
  bucket.tokens--
  return true
}
