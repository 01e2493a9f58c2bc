/** What sessions and ports of UDP need of the worker. */
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { LimitsSpec, NodeSpec } from '../../../contracts/snapshot.ts'
import type { DatagramBatch } from '../../../native/datagram-batch.ts'
import type { DatagramSockets } from '../../../native/datagram-sockets.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { AccessLog } from '../observe/access-log.ts'
import type { VirtualHost } from '../route/types.ts'
import type { Clock } from '../transport/clock.ts'
import type { EpollLoop } from '../transport/epoll/loop.ts'
import type { TimerWheel } from '../transport/timer-wheel.ts'

/** One set of events, one memory and one maker of sockets for all UDP of a worker. */
export interface DatagramIo {
  readonly sockets: DatagramSockets
  readonly loop: EpollLoop
  readonly batch: DatagramBatch
}

export interface UdpDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly random: () => number
  readonly live: { nextId(): number }
  readonly limits: () => LimitsSpec
  readonly mesh: {
    readonly node: Pick<NodeSpec, 'tier'>
    readonly names: { host(name: string): VirtualHost | undefined }
    upstream(clusterKey: string): Upstream | undefined
  }
  readonly accessLog: Pick<AccessLog, 'isOn' | 'wants' | 'write'>
  /** Whether an address is a UDP port of this agent that would send everything back. */
  readonly leadsBack: (address: string, port: number, service: ServiceKey) => boolean
  readonly warn: (message: string) => void
}
