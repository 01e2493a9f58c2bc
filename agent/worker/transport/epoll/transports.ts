/**
 * Transports on sockets of our own, outside libuv: one system call per read and per write, none of Node's layers around
 * them, one wake-up for all that is ready. What is unsafe about it, how it is fenced and how to do without:
 * docs/decisions/0035.
 */
import type { FastCalls } from '../../../../native/fast-calls.ts'
import { openTcpPeer } from '../../../../native/tcp-peer.ts'
import { TcpSockets } from '../../../../native/tcp-sockets.ts'
import type { Output } from '../output.ts'
import { readBufferBytes, refuseState } from '../transport.ts'
import type { Transport, Transports } from '../transport.ts'
import { Dialing } from './dialing.ts'
import { EpollListener } from './listener.ts'
import { Edge, EpollLoop, refusal } from './loop.ts'
import { OutputMemory } from './output-memory.ts'
import { EpollTransport } from './socket.ts'
import type { EpollShared } from './socket.ts'

/** Throws where something is missing. */
export function epollTransports(output: Output, calls: FastCalls): Transports {
  const tcpPeer = openTcpPeer()
  if (tcpPeer === undefined) throw new Error('the C library cannot be called')
  const sockets = new TcpSockets()
  const loop = new EpollLoop(calls)
  const readMemory = calls.fix(Buffer.allocUnsafeSlow(readBufferBytes))
  const outputMemory = new OutputMemory(calls, output.bytes)
  const shared: EpollShared = { loop, sockets, tcpPeer, output, outputMemory, readMemory }

  const listener = (socket: number, onAccept: (transport: Transport) => void): EpollListener => {
    const made = new EpollListener(shared, socket, onAccept)
    const refused = loop.add(socket, made, Edge.in)
    if (refused === 0) return made
    made.close()
    throw refusal(refused, `listen ${made.address}:${made.port}`)
  }

  return {
    kind: 'epoll',
    calls,
    async listen({ address, backlog, port, reusePort }, onAccept) {
      const socket = sockets.bound(address, port, reusePort)
      sockets.listen(socket, backlog, `${address}:${port}`)
      return listener(socket, onAccept)
    },
    async listenOn(descriptor, backlog, onAccept) {
      sockets.listen(descriptor, backlog, `descriptor ${descriptor}`)
      return listener(descriptor, onAccept)
    },
    dial(address, port, callback) {
      const dialing = new Dialing(shared, callback)
      dialing.begin(address, port)
      return dialing
    },
    open(descriptor, state) {
      refuseState(state)
      sockets.prepare(descriptor)
      const transport = new EpollTransport(shared, descriptor, sockets.localName(descriptor) === undefined)
      const refused = loop.add(descriptor, transport, transport.edges)
      if (refused === 0) return transport
      throw refusal(refused, `descriptor ${descriptor}`)
    },
  }
}
