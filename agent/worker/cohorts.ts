import type { Upstream } from './connect/upstream.ts'
import type { LinkPlace } from './forward/streams.ts'
import type { Cohorts } from './listen/cohorts.ts'
import type { Movable } from './listen/movable.ts'
import { findCohorts } from './protocols/http2/cohort.ts'
import { adoptCohort } from './protocols/http2/cohort-adoption.ts'
import { CohortMovable } from './protocols/http2/cohort-movable.ts'
import { Http2Connection } from './protocols/http2/connection.ts'
import type { Http2ConnectionDeps } from './protocols/http2/connection-deps.ts'
import type { Http2DownstreamStream } from './protocols/http2/downstream-stream.ts'
import type { Http2UpstreamStream } from './protocols/http2/upstream-stream.ts'
import type { Spares } from './transport/spares.ts'

/** Connections of HTTP/2 that leave with their streams. */
export function http2Cohorts(
  http2: Http2ConnectionDeps & {
    readonly downstreams: Spares<Http2DownstreamStream>
    readonly upstreams: Spares<Http2UpstreamStream>
  },
  mesh: { upstream(clusterKey: string): Upstream | undefined },
): Cohorts {
  const find = ({ cluster, endpoint }: Pick<LinkPlace, 'cluster' | 'endpoint'>) => {
    const upstream = mesh.upstream(cluster)
    const state = upstream?.cluster.states.find(({ id }) => id === endpoint)
    return upstream === undefined || state === undefined ? null : { pools: upstream.pools, state }
  }
  const deps = {
    http2,
    downstreams: http2.downstreams,
    upstreams: http2.upstreams,
    hasSeat: (place: Pick<LinkPlace, 'cluster' | 'endpoint'>) => find(place) !== null,
  }
  return {
    list: () =>
      findCohorts(callersOf(http2.live.all()))
        .filter(({ isCarriable }) => isCarriable)
        .map(({ callers }) => new CohortMovable(http2.live.nextId(), [...callers], () => http2.clock.now)),
    adopt: (moved, accepted, transports) =>
      adoptCohort(
        {
          ...deps,
          takeSeat(place, streams, open) {
            const { pools, state } = find(place)!
            return pools.exactly(state, place.identity).adoptBusy(place, streams, open)
          },
        },
        moved,
        accepted,
        transports,
      ),
  }
}

function* callersOf(connections: Iterable<Movable>): Iterable<Http2Connection> {
  for (const connection of connections) if (connection instanceof Http2Connection) yield connection
}
