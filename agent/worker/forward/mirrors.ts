/**
 * Copies of requests to other destinations. Fire and forget: the reply is read and thrown away, a failure is only
 * counted, and the caller never waits. A copy is streamed beside the original: what comes of the request's content is
 * kept for it until its endpoint takes it.
 *
 * Bounds: `maxMirrors` copies in flight per worker; `maxKeptBytes` for each copy and `maxKeptInAll` for all that
 * endpoints have not taken yet. Beyond them a copy is not sent, or given up, and counted as skipped with its reason.
 * The Host of a copy ends in `-shadow`, as in Istio, so that the other side can tell.
 */
import type { Upstream } from '../connect/upstream.ts'
import { clusterKeyFor } from '../route/destination.ts'
import { chooseMirrors } from '../route/mirror.ts'
import type { Destination, Route } from '../route/types.ts'
import { givenUpReasons, Mirror } from './mirror.ts'
import type { CopiedRequest, MirrorDeps } from './mirror.ts'
import type { RequestBody } from './request-body.ts'
import type { Fields } from './streams.ts'

export const maxMirrors = 256

/** Why a copy was not sent, or not to its end. */
const skipReasons = ['in-flight', 'unknown-destination', 'limits', 'no-endpoint', ...givenUpReasons] as const
type SkipReason = (typeof skipReasons)[number]

export interface MirrorsDeps extends MirrorDeps {
  readonly mesh: { upstream(clusterKey: string): Upstream | undefined }
}

export class Mirrors {
  inFlight = 0
  sent = 0
  failed = 0
  /** Of all copies: content that their endpoints have not taken yet. */
  keptBytes = 0
  readonly skipped = new Map<SkipReason, number>(skipReasons.map((reason) => [reason, 0]))
  private readonly deps: MirrorsDeps

  constructor(deps: MirrorsDeps) {
    this.deps = deps
  }

  skip(reason: SkipReason): void {
    this.skipped.set(reason, this.skipped.get(reason)! + 1)
  }

  /** Sends the copies of a request that the route wants; null when all that came of it is all there is. */
  start(original: CopiedRequest, body: RequestBody, route: Route): MirrorRun | null {
    const copies: Mirror[] = []
    chooseMirrors(route, this.deps.random, (destination) => {
      const copy = this.copy(original, route, destination)
      if (copy !== null) copies.push(copy)
    })
    if (copies.length === 0) return null
    const run = new MirrorRun(copies)
    const { replay } = body
    if (replay.length > 0) run.content(replay.bytes, 0, replay.length)
    if (body.isDone) run.end(body.trailers)
    run.begin()
    return body.isDone ? null : run
  }

  private copy(original: CopiedRequest, route: Route, destination: Destination): Mirror | null {
    const { request, requestId } = original
    const { clock, mesh, random } = this.deps
    if (this.inFlight >= maxMirrors) return this.refuse('in-flight')
    const upstream = mesh.upstream(clusterKeyFor(destination, request.namedPort, request.localPort))
    if (upstream === undefined) return this.refuse('unknown-destination')
    const { cluster } = upstream
    if (cluster.admit(clock.now) !== null) return this.refuse('limits')
    const picked = cluster.pick({
      now: clock.now,
      random,
      hash: 0,
      hasHash: false,
      tried: null,
      original: '',
    })
    if (picked.kind === 'refusal') {
      cluster.release()
      return this.refuse('no-endpoint')
    }
    this.inFlight++
    return new Mirror(
      this.deps,
      this,
      { request: request.copy(), requestId: requestId === null ? null : requestId.copy(), edits: original.edits },
      route,
      destination,
      upstream,
      picked,
    )
  }

  private refuse(reason: SkipReason): null {
    this.skip(reason)
    return null
  }
}

/** The copies of one request that still take its content. */
export class MirrorRun {
  private readonly copies: readonly Mirror[]

  constructor(copies: readonly Mirror[]) {
    this.copies = copies
  }

  begin(): void {
    for (const copy of this.copies) copy.begin()
  }

  /** Keeps it until `flush`. */
  content(buf: Buffer, from: number, to: number): void {
    for (const copy of this.copies) copy.content(buf, from, to)
  }

  end(trailers: Fields | null): void {
    for (const copy of this.copies) copy.endContent(trailers)
  }

  flush(): void {
    for (const copy of this.copies) copy.flush()
  }

  /** The original is over. */
  leave(): void {
    for (const copy of this.copies) copy.originalOver()
  }
}
