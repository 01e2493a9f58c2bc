import { maxDescriptorsTogether } from '../../../../contracts/handoff.ts'
import { Http2Connection } from './connection.ts'
import { Http2DownstreamStream } from './downstream-stream.ts'
import { nobody } from './flow.ts'
import { Http2Link } from './upstream-link.ts'
import { Http2UpstreamStream } from './upstream-stream.ts'

/** More than this does not travel: content, tables and heads must fit into a frame of the handoff beside others. */
const maxCohortBytes = 4 * 1024 * 1024
/** Of a connection or a request, beside these. */
const ownBytes = 1024

/** A request under way, at both its ends. */
export interface CarriedPair {
  readonly down: Http2DownstreamStream
  readonly up: Http2UpstreamStream
}

/**
 * Connections that can leave the process only together: each carries a stream whose other half is on another one of
 * them. Found by walking from a caller over its streams to endpoints, and from those back to their callers.
 */
export class Cohort {
  readonly callers: Set<Http2Connection> = new Set()
  readonly links: Set<Http2Link> = new Set()
  readonly pairs: CarriedPair[] = []
  /** Everything of it can be said as data now. */
  isCarriable = true

  constructor(first: Http2Connection) {
    this.callers.add(first)
    const { callers, links } = this
    let callersSeen = 0
    let linksSeen = 0
    // sets grow while they are walked, and tell what was added
    for (const caller of callers) {
      callersSeen++
      this.walkCaller(caller)
      if (callersSeen < callers.size) continue
      for (const link of [...links].slice(linksSeen)) this.walkLink(link)
      linksSeen = links.size
    }
    if (callers.size + links.size > maxDescriptorsTogether) this.isCarriable = false
    if (this.isCarriable && this.bytes > maxCohortBytes) this.isCarriable = false
  }

  private walkCaller(caller: Http2Connection): void {
    if (!caller.canCross) this.isCarriable = false
    for (const { user } of caller.session.streams.values()) {
      if (user === nobody) continue
      const up = user instanceof Http2DownstreamStream && user.isCarriable ? user.owner.crossing.carried : null
      const link = up instanceof Http2UpstreamStream ? up.carrier : null
      if (link instanceof Http2Link) {
        this.pairs.push({ down: user as Http2DownstreamStream, up: up as Http2UpstreamStream })
        this.links.add(link)
      } else {
        this.isCarriable = false
      }
    }
  }

  private walkLink(link: Http2Link): void {
    if (!link.canCross) this.isCarriable = false
    for (const { user } of link.session.streams.values()) {
      if (user === nobody) continue
      const down = user instanceof Http2UpstreamStream ? user.caller : null
      const caller = down instanceof Http2DownstreamStream ? down.carrier : null
      if (caller instanceof Http2Connection) this.callers.add(caller)
      else this.isCarriable = false
    }
  }

  private get bytes(): number {
    let sum = 0
    for (const { session } of this.callers) sum += session.heldBytes + ownBytes
    for (const { session } of this.links) sum += session.heldBytes + ownBytes
    for (const { down } of this.pairs) sum += down.owner.crossing.keptBytes + down.headBytes + ownBytes
    return sum
  }
}

/** The cohorts of those that cannot leave alone; each connection is in one of them. */
export function findCohorts(connections: Iterable<Http2Connection>): Cohort[] {
  const seen = new Set<Http2Connection>()
  const found: Cohort[] = []
  for (const connection of connections) {
    if (seen.has(connection) || connection.isReady) continue
    const cohort = new Cohort(connection)
    for (const caller of cohort.callers) seen.add(caller)
    found.push(cohort)
  }
  return found
}
