/**
 * What becomes of a TCP socket beside its bytes, for a worker that keeps its sockets itself: making, binding,
 * connecting, options, names. Rare beside reads and writes, so through `node:ffi`'s own checks. Numbers: Linux, the
 * same on x64 and arm64.
 */
import { constants } from 'node:fs'
import { readSocketAddress, socketAddressBytes, writeSocketAddress } from './socket-address.ts'
import { socketLevel, Sockets, systemError } from './sockets.ts'

/** SOCK_STREAM. */
const stream = 1
const [getStatusFlags, setStatusFlags] = [3, 4]
const tcpLevel = 6
const [reuseAddress, socketError, keepAlive, linger, reusePort] = [2, 4, 9, 13, 15]
const [noDelay, keepAliveIdle, keepAliveInterval, keepAliveProbes] = [1, 4, 5, 6]
const shutdownWrite = 1
const inProgress = 115
/** libuv's, so that it is the same whoever keeps a socket. */
const probes = 10

export interface SocketName {
  readonly address: string
  readonly port: number
}

/** Errors are thrown with the system's name as `code`, and the negative errno as `errno`. */
export class TcpSockets extends Sockets {
  /** A bound socket that does not listen yet. */
  bound(address: string, port: number, sharesPort: boolean): number {
    const socket = this.make(address, stream)
    const length = writeSocketAddress(this.name, address, port)
    let failure = this.set(socket, socketLevel, reuseAddress, 1)
    if (failure === 0 && sharesPort) failure = this.set(socket, socketLevel, reusePort, 1)
    if (failure === 0) failure = this.libc.bind(socket, this.name, length)
    if (failure === 0) return socket
    throw this.closing(socket, failure, `bind ${address}:${port}`)
  }

  /** TCP_NODELAY passes on to what is accepted. */
  listen(socket: number, backlog: number, what: string): void {
    this.prepare(socket)
    const failure = this.libc.listen(socket, backlog)
    if (failure !== 0) throw this.closing(socket, failure, `listen ${what}`)
  }

  /**
   * A socket that is being connected, without TCP_NODELAY; `connectFailure` says how it went, once it can be written
   * to. Throws what is known at once.
   */
  connecting(address: string, port: number): number {
    const socket = this.make(address, stream)
    const length = writeSocketAddress(this.name, address, port)
    const failure = this.libc.connect(socket, this.name, length)
    if (failure === 0 || failure === -inProgress) return socket
    throw this.closing(socket, failure, `connect ${address}:${port}`)
  }

  /** TCP_NODELAY; what the kernel held back goes out at once. */
  sendAtOnce(socket: number): void {
    this.set(socket, tcpLevel, noDelay, 1)
  }

  /** errno; 0 = connected. */
  connectFailure(socket: number): number {
    this.valueLength.writeUInt32LE(4, 0)
    const failure = this.libc.getsockopt(socket, socketLevel, socketError, this.value, this.valueLength)
    return failure === 0 ? this.value.readInt32LE(0) : -failure
  }

  /** A socket of another process. */
  prepare(socket: number): void {
    const flags = this.libc.fcntl(socket, getStatusFlags, 0)
    if (flags < 0) throw systemError(flags, `descriptor ${socket}`)
    if ((flags & constants.O_NONBLOCK) === 0) this.libc.fcntl(socket, setStatusFlags, flags | constants.O_NONBLOCK)
    this.set(socket, tcpLevel, noDelay, 1)
  }

  shutdown(socket: number): void {
    this.libc.shutdown(socket, shutdownWrite)
  }

  /** The next close sends RST. */
  lingerNot(socket: number): void {
    this.value.writeInt32LE(1, 0)
    this.value.writeInt32LE(0, 4)
    this.libc.setsockopt(socket, socketLevel, linger, this.value, 8)
  }

  keepAlive(socket: number, seconds: number): void {
    this.set(socket, socketLevel, keepAlive, 1)
    this.set(socket, tcpLevel, keepAliveIdle, seconds)
    this.set(socket, tcpLevel, keepAliveInterval, 1)
    this.set(socket, tcpLevel, keepAliveProbes, probes)
  }

  localName(socket: number): SocketName | undefined {
    this.nameLength.writeUInt32LE(socketAddressBytes, 0)
    return this.libc.getsockname(socket, this.name, this.nameLength) === 0 ? readSocketAddress(this.name) : undefined
  }

  peerName(socket: number): SocketName | undefined {
    this.nameLength.writeUInt32LE(socketAddressBytes, 0)
    return this.libc.getpeername(socket, this.name, this.nameLength) === 0 ? readSocketAddress(this.name) : undefined
  }
}
