/**
 * Whether news about a service is believed. Nacos servers are known to push empty lists when they restart, to answer
 * from a node that lags, and to deliver out of order; a mesh that believes each of them loses traffic that had a living
 * endpoint.
 *
 * - Older than what the same server already told on this connection, and not the answer to a question asked since:
 *   refused. Servers stamp lists with their clock's milliseconds; an answer of the same millisecond as a push that
 *   overtook it is the older one, because a change after it would be pushed, too.
 * - Nothing left, or much less than known: held until a second source says the same.
 * - While servers come and go: whatever it lacks of the known endpoints is doubted one by one, the rest is used.
 * - After an outage of all servers: anything that lacks a known endpoint is held until the servers have settled.
 * - Everything else is accepted at once. The first word on a service is always accepted: there is nothing to protect.
 */
import { endpointId } from '../../../contracts/endpoint.ts'
import type { Endpoint } from '../../../contracts/endpoint.ts'
import { sameEndpoints } from './read-service.ts'
import type { ServiceAnswer } from './read-service.ts'

/** What is in use, and where it came from. */
export interface Known {
  readonly endpoints: readonly Endpoint[]
  /** Of the server below, on its clock. */
  readonly lastRefTime: number
  /** Identity of the connection or server that told it. */
  readonly source: string
  /** When it was accepted, on our monotonic clock. */
  readonly acceptedAt: number
}

export interface News {
  readonly view: ServiceAnswer
  readonly source: string
  /** For an answer: when the question was sent, on our monotonic clock. undefined = a push. */
  readonly askedAt: number | undefined
}

export type Verdict = 'accept' | 'older' | 'invalid' | 'empty' | 'shrunk' | 'unsettled' | 'doubtful'

/** `calm`; `trouble`: a server is lost or came back a moment ago; `outage`: all of them were away a moment ago. */
export type ServerMood = 'calm' | 'trouble' | 'outage'

/** A list with less than this share of the known endpoints is a shrink (the share at which control protects, too). */
const shrinkShare = 0.3

export function judge(known: Known | undefined, news: News, mood: ServerMood): Verdict {
  if (!news.view.isValid) return 'invalid'
  if (known === undefined) return 'accept'
  // an answer to a question that was sent after the last word was taken is newer than it, whatever the server's clock
  // says
  const isCausallyNewer = news.askedAt !== undefined && news.askedAt >= known.acceptedAt
  if (news.source === known.source && news.view.lastRefTime !== 0 && !isCausallyNewer && isOlder(known, news))
    return 'older'
  return loss(known.endpoints, news.view.endpoints, mood)
}

function isOlder(known: Known, { view, askedAt }: News): boolean {
  if (view.lastRefTime !== known.lastRefTime) return view.lastRefTime < known.lastRefTime
  return askedAt !== undefined && !sameEndpoints(known.endpoints, view.endpoints)
}

function loss(known: readonly Endpoint[], now: readonly Endpoint[], mood: ServerMood): Verdict {
  if (known.length === 0) return 'accept'
  if (mood !== 'calm') {
    const ids = new Set(now.map(endpointId))
    if (known.every((endpoint) => ids.has(endpointId(endpoint)))) return 'accept'
    return mood === 'outage' ? 'unsettled' : 'doubtful'
  }
  if (now.length === 0) return 'empty'
  return now.length < known.length * shrinkShare ? 'shrunk' : 'accept'
}
