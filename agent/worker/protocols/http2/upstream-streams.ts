import { Http2UpstreamStream } from './upstream-stream.ts'
import type { UpstreamStreamDeps } from './upstream-stream.ts'

/** Streams at rest that are kept; more are made when needed and left to the collector afterwards. */
const maxKept = 1024

/** Upstream streams for reuse: the one used last comes first, so that the working set stays small. */
export class Http2UpstreamStreams {
  private readonly deps: UpstreamStreamDeps
  private readonly kept: Http2UpstreamStream[] = []

  constructor(deps: UpstreamStreamDeps) {
    this.deps = deps
  }

  take(): Http2UpstreamStream {
    return this.kept.pop() ?? new Http2UpstreamStream(this.deps, this)
  }

  give(stream: Http2UpstreamStream): void {
    if (this.kept.length < maxKept) this.kept.push(stream)
  }
}
