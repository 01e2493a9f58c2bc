import type { OpenExchange } from '../../forward/streams.ts'
import type { Http2ConnectionDeps } from './connection-deps.ts'
import { Http2DownstreamStream } from './downstream-stream.ts'
import type { StreamConnection } from './downstream-stream.ts'

const maxKept = 1024

/** Downstream streams for reuse, each with its exchange. */
export class DownstreamStreams {
  private readonly deps: Http2ConnectionDeps
  private readonly openExchange: OpenExchange
  private readonly kept: Http2DownstreamStream[] = []

  constructor(deps: Http2ConnectionDeps, openExchange: OpenExchange) {
    this.deps = deps
    this.openExchange = openExchange
  }

  take(connection: StreamConnection): Http2DownstreamStream {
    const stream = this.kept.pop() ?? new Http2DownstreamStream(this.deps, this, this.openExchange)
    stream.attach(connection)
    return stream
  }

  give(stream: Http2DownstreamStream): void {
    if (this.kept.length < maxKept) this.kept.push(stream)
    else stream.retire()
  }
}
