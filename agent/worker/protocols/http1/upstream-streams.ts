import type { Http1Deps } from './deps.ts'
import { Http1UpstreamStream } from './upstream-stream.ts'

/** Streams at rest that are kept; more are made when needed and left to the collector afterwards. */
const maxKept = 1024

/** Upstream streams for reuse: the one used last comes first, so that the working set stays small. */
export class UpstreamStreams {
  private readonly deps: Http1Deps
  private readonly kept: Http1UpstreamStream[] = []

  constructor(deps: Http1Deps) {
    this.deps = deps
  }

  take(): Http1UpstreamStream {
    return this.kept.pop() ?? new Http1UpstreamStream(this.deps, this)
  }

  give(stream: Http1UpstreamStream): void {
    if (this.kept.length < maxKept) this.kept.push(stream)
  }

  /** The bounds on heads changed: what is kept was made for the old ones. */
  clear(): void {
    this.kept.length = 0
  }
}
