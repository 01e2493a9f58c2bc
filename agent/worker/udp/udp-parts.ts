/** What the first UDP listener of a worker loads. */
import { DatagramBatch } from '../../../native/datagram-batch.ts'
import { DatagramSockets } from '../../../native/datagram-sockets.ts'
import { openWrappedCalls } from '../../../native/fast-calls.ts'
import type { FastCalls } from '../../../native/fast-calls.ts'
import { EpollLoop } from '../transport/epoll/loop.ts'
import type { DatagramIo, UdpDeps } from './udp-deps.ts'
import { UdpPort } from './udp-port.ts'
import type { UdpPortOptions } from './udp-port.ts'

/** `calls`: undefined = with their wrapper. Throws where the system has none. */
export function openIo(calls: FastCalls | undefined): DatagramIo {
  const made = calls ?? openWrappedCalls()
  return { sockets: new DatagramSockets(), loop: new EpollLoop(made), batch: new DatagramBatch(made.source) }
}

export function makePort(deps: UdpDeps, io: DatagramIo, options: UdpPortOptions): UdpPort {
  return new UdpPort(deps, io, options)
}
