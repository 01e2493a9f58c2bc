import type { LinkHome, UpstreamLink, UpstreamOwner, UpstreamStream } from '../../forward/streams.ts'
import type { Spares } from '../../transport/spares.ts'
import type { Transport, TransportOwner } from '../../transport/transport.ts'
import type { Http1UpstreamStream, StreamLink } from './upstream-stream.ts'

/**
 * One connection to an endpoint that carries one request after another. While nobody uses it, it owns its transport.
 */
export class Http1Link implements UpstreamLink, StreamLink, TransportOwner {
  readonly transport: Transport
  readonly isMovable = true
  freeStreams = 1
  private readonly streams: Spares<Http1UpstreamStream>
  private readonly home: LinkHome

  constructor(streams: Spares<Http1UpstreamStream>, transport: Transport, home: LinkHome) {
    this.streams = streams
    this.transport = transport
    this.home = home
    transport.owner = this
    transport.resumeReading()
  }

  open(owner: UpstreamOwner, isReused: boolean): UpstreamStream {
    this.freeStreams = 0
    const stream = this.streams.take()
    stream.begin(this, owner, isReused)
    return stream
  }

  rest(): void {
    this.transport.owner = this
  }

  close(): void {
    this.transport.close()
  }

  leaving(): null {
    return null
  }

  left(): void {}

  freed(): void {
    this.freeStreams = 1
    this.home.linkFreed()
  }

  discard(): void {
    this.transport.close()
    this.home.linkSpent()
  }

  lost(): void {
    this.home.linkLost()
  }

  /** Nothing was asked: whatever this is, the next request must not get it as its reply. */
  onBytes(): void {
    this.end()
  }

  onEnd(): void {
    this.end()
  }

  private end(): void {
    this.transport.close()
    this.home.linkEnded()
  }

  onDrained(): void {}

  onClosed(): void {
    this.home.linkEnded()
  }
}
