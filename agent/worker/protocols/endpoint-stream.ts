import type { UpstreamOwner } from '../forward/streams.ts'

/** A stream towards an endpoint, used for one request after another, over whatever connection. */
export abstract class EndpointStream<Link> {
  isReused = false
  hasReply = false
  mayBeRead = false
  isResetAlone = false
  protected link: Link | null = null
  protected owner: UpstreamOwner | null = null
  protected interims = 0
  /** Grows with each use and each end, so that what runs sees that it was ended meanwhile. */
  protected serial = 0

  protected use(link: Link, owner: UpstreamOwner, isReused: boolean): void {
    this.link = link
    this.owner = owner
    this.isReused = isReused
    this.hasReply = false
    this.mayBeRead = true
    this.isResetAlone = false
    this.interims = 0
    this.serial++
  }
}
