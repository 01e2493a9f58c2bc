/** What is known of one service that somebody listens to, and what happens with it at the moment. */
import type { EndpointSet, ServiceKey, ServiceName } from '../../../contracts/endpoint.ts'
import type { EndpointListener, RegistryProblem } from '../../../contracts/registry-adapter.ts'
import { DoubtedLosses } from './doubted-losses.ts'
import type { Known } from './judge.ts'

/** How services are asked for; one at a time is in use. */
export interface NamingTransport {
  /** Identity of the connection or server whose answers can be put in order. */
  readonly source: string
  /** The server's view, and pushes from now on where the transport has them. */
  subscribe(service: ServiceName): Promise<unknown>
  unsubscribe(service: ServiceName): Promise<void>
  /** The server's view, now. */
  query(service: ServiceName): Promise<unknown>
  /** How often each service must be asked for because nobody tells us; 0 = pushes come. */
  readonly pollMs: number
}

/** One service that somebody listens to. */
export interface NamingWatch {
  readonly service: ServiceName
  readonly key: ServiceKey
  readonly listeners: Set<EndpointListener>
  version: number
  known: Known | undefined
  set: EndpointSet | undefined
  /** What the listeners were told when the data became old; undefined = they are fresh. */
  stale: RegistryProblem | undefined
  /** Asked for on this transport. */
  subscribedOn: NamingTransport | undefined
  isAsking: boolean
  failures: number
  nextAskAt: number
  held: Held | undefined
  readonly doubted: DoubtedLosses
  /** Something of the known is used although the last list lacks it. */
  isKept: boolean
  timer: (() => void) | undefined
  /** The next look at what is doubted. */
  doubtTimer: (() => void) | undefined
}

export interface Held {
  readonly since: number
  /** The answers of the questions so far agreed with what is held; failed ones do not count. */
  attempts: number
}

export function createNamingWatch(service: ServiceName, key: ServiceKey): NamingWatch {
  return {
    service,
    key,
    listeners: new Set(),
    version: 0,
    known: undefined,
    set: undefined,
    stale: undefined,
    subscribedOn: undefined,
    isAsking: false,
    failures: 0,
    nextAskAt: 0,
    held: undefined,
    doubted: new DoubtedLosses(),
    isKept: false,
    timer: undefined,
    doubtTimer: undefined,
  }
}

export function clearTimers(watch: NamingWatch): void {
  watch.timer?.()
  watch.doubtTimer?.()
  watch.timer = undefined
  watch.doubtTimer = undefined
}
