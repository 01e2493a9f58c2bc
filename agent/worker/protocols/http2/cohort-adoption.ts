import { MeshError } from '../../../../contracts/errors.ts'
import { exchangeShape } from '../../forward/streams.ts'
import type { ExchangeState, LinkHome, LinkPlace } from '../../forward/streams.ts'
import type { Accepted } from '../../listen/accepted.ts'
import type { Movable, MovedCohort } from '../../listen/movable.ts'
import { misfit } from '../../listen/shape.ts'
import type { Shape } from '../../listen/shape.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Spares } from '../../transport/spares.ts'
import { CohortMovable } from './cohort-movable.ts'
import { Http2Connection } from './connection.ts'
import type { Http2ConnectionDeps } from './connection-deps.ts'
import { downstreamShape } from './downstream-stream.ts'
import type { DownstreamState, Http2DownstreamStream } from './downstream-stream.ts'
import { readSessionState } from './session-state.ts'
import type { SessionState } from './session-state.ts'
import { Http2Link } from './upstream-link.ts'
import type { LinkState } from './upstream-link.ts'
import { upstreamShape } from './upstream-stream.ts'
import type { Http2UpstreamStream, UpstreamState } from './upstream-stream.ts'

/** Gives a connection to an endpoint its place in a pool, past the pool's bounds. */
export type TakeSeat = (place: LinkPlace, streams: number, open: (home: LinkHome) => Http2Link) => Http2Link

export interface CohortAdoptionDeps {
  readonly http2: Http2ConnectionDeps
  readonly downstreams: Spares<Http2DownstreamStream>
  readonly upstreams: Spares<Http2UpstreamStream>
  /** Destination and endpoint are known here. */
  readonly hasSeat: (place: Pick<LinkPlace, 'cluster' | 'endpoint'>) => boolean
  readonly takeSeat: TakeSeat
}

const shape: Shape = {
  callers: ['list', { served: 'number', drain: 'number', unsent: 'string' }],
  links: [
    'list',
    { cluster: 'string', endpoint: 'string', ageMs: 'number', requests: 'number', link: { askedAgoMs: 'number' } },
  ],
  exchanges: [
    'list',
    {
      caller: 'number',
      callerStream: 'number',
      link: 'number',
      linkStream: 'number',
      down: downstreamShape,
      up: upstreamShape,
      exchange: exchangeShape,
    },
  ],
}

interface Understood {
  readonly callers: readonly { readonly session: SessionState; readonly served: number; readonly drain: number }[]
  readonly links: readonly (LinkPlace & { readonly link: LinkState })[]
}

/** Goes on with a cohort of another process: everything of it is understood before anything is made of it. */
export function adoptCohort(
  deps: CohortAdoptionDeps,
  moved: MovedCohort,
  accepted: readonly Accepted[],
  transports: readonly Transport[],
): Movable {
  let understood: Understood
  try {
    understood = understand(deps, moved)
  } catch (error) {
    for (const transport of transports) transport.release()
    throw error
  }
  return build(deps, moved, understood, accepted, transports)
}

function refused(why: string): MeshError {
  return new MeshError('E_HANDOFF_REFUSED', `connections of HTTP/2 with their streams: ${why}; they are closed here`)
}

function understand({ hasSeat }: CohortAdoptionDeps, moved: MovedCohort): Understood {
  const found = misfit(moved, shape)
  if (found !== null) throw refused(`malformed state at ${found}`)
  const session = (given: unknown): SessionState => {
    const state = readSessionState(given)
    if (state === null) throw refused('malformed state of a connection')
    return state
  }
  const callers = moved.callers.map((caller) => ({ ...caller, session: session(caller.session) }))
  const links = moved.links.map((one) => {
    if (!hasSeat(one)) throw refused(`${one.endpoint} left ${one.cluster}`)
    const { askedAgoMs, session: given } = one.link as LinkState
    return { ...one, link: { askedAgoMs, session: session(given) } }
  })
  const hasStream = (state: SessionState | undefined, id: number): boolean =>
    state?.open?.flows.some((flow) => flow.id === id) === true
  for (const { caller, callerStream, exchange, link, linkStream } of moved.exchanges) {
    const { cluster, endpoint } = exchange as ExchangeState
    const isThere =
      hasStream(callers[caller]?.session, callerStream) && hasStream(links[link]?.link.session, linkStream)
    if (!isThere) throw refused('a request without its streams')
    if (!hasSeat({ cluster, endpoint })) throw refused(`${endpoint} left ${cluster}`)
  }
  return { callers, links }
}

function build(
  { downstreams, http2, takeSeat, upstreams }: CohortAdoptionDeps,
  moved: MovedCohort,
  understood: Understood,
  accepted: readonly Accepted[],
  transports: readonly Transport[],
): Movable {
  const callers = understood.callers.map(({ drain, served, session }, at) => {
    const connection = new Http2Connection(http2, downstreams, accepted[at]!, transports[at]!)
    connection.restore(session, served, drain)
    return connection
  })
  const links = understood.links.map(({ link, ...place }, at) => {
    const transport = transports[callers.length + at]!
    const streams = link.session.open?.flows.length ?? 0
    return takeSeat(place, streams, (home) => new Http2Link(http2, upstreams, transport, home, link))
  })
  const streams = moved.exchanges.map(({ caller, callerStream, down, exchange, link, linkStream, up }) => {
    const connection = callers[caller]!
    const stream = downstreams.take()
    stream.attach(connection)
    stream.restore(connection.session.streams.get(callerStream)!, down as DownstreamState)
    stream.owner.crossing.restore(exchange as ExchangeState, (owner) =>
      links[link]!.resume(linkStream, owner, up as UpstreamState),
    )
    return stream
  })
  for (const stream of streams) stream.wake()
  const unsent = [...moved.callers, ...moved.links].map((one) => Buffer.from(one.unsent, 'base64'))
  const sessions = [...understood.callers, ...understood.links.map(({ link }) => link)].map(({ session }) => session)
  for (const [at, member] of [...callers, ...links].entries()) member.session.start(sessions[at]!.received, unsent[at]!)
  return new CohortMovable(http2.live.nextId(), callers, () => http2.clock.now)
}
