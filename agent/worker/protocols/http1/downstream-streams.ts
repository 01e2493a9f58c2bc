import type { OpenExchange } from '../../forward/streams.ts'
import type { Http1Deps } from './deps.ts'
import { Http1DownstreamStream } from './downstream-stream.ts'
import type { StreamConnection } from './downstream-stream.ts'

const maxKept = 1024

/** Downstream streams for reuse, each with its exchange, like `UpstreamStreams`. */
export class DownstreamStreams {
  private readonly deps: Http1Deps
  private readonly openExchange: OpenExchange
  private readonly kept: Http1DownstreamStream[] = []

  constructor(deps: Http1Deps, openExchange: OpenExchange) {
    this.deps = deps
    this.openExchange = openExchange
  }

  take(connection: StreamConnection): Http1DownstreamStream {
    const stream = this.kept.pop() ?? new Http1DownstreamStream(this.deps, this, this.openExchange)
    stream.attach(connection)
    return stream
  }

  give(stream: Http1DownstreamStream): void {
    if (this.kept.length < maxKept) this.kept.push(stream)
    else stream.owner.retire()
  }

  /** The bounds on heads changed: what is kept was made for the old ones. */
  clear(): void {
    for (const stream of this.kept) stream.owner.retire()
    this.kept.length = 0
  }
}
