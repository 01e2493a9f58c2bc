/** UDP sockets beside their datagrams: bound ones for callers, connected ones towards endpoints. */
import { readSocketAddress, socketAddressBytes, writeSocketAddress } from './socket-address.ts'
import { socketLevel, Sockets } from './sockets.ts'
import type { SocketName } from './tcp-sockets.ts'

/** SOCK_DGRAM. */
const datagrams = 2
/** SO_RCVBUF, SO_REUSEPORT, SO_MEMINFO. */
const [receiveBuffer, reusePort, memoryInfo] = [8, 15, 55]
/** Of a caller's socket, as far as net.core.rmem_max allows: what waits while nobody takes it. */
const receiveBufferBytes = 4_194_304
/** Of SO_MEMINFO: words of 4 bytes, and the one of the datagrams that found the queue full. */
const [memoryWords, dropsAt] = [9, 8]

/** Errors are thrown with the system's name as `code`, and the negative errno as `errno`. */
export class DatagramSockets extends Sockets {
  private readonly info = Buffer.alloc(memoryWords * 4)

  /** Takes datagrams from here on. */
  bound(address: string, port: number, sharesPort: boolean): number {
    const socket = this.make(address, datagrams)
    const length = writeSocketAddress(this.name, address, port)
    this.set(socket, socketLevel, receiveBuffer, receiveBufferBytes)
    let failure = sharesPort ? this.set(socket, socketLevel, reusePort, 1) : 0
    if (failure === 0) failure = this.libc.bind(socket, this.name, length)
    if (failure === 0) return socket
    throw this.closing(socket, failure, `bind ${address}:${port}`)
  }

  /** Sends to this address alone, takes from it alone, and hears when nobody is there. */
  connected(address: string, port: number): number {
    const socket = this.make(address, datagrams)
    const failure = this.libc.connect(socket, this.name, writeSocketAddress(this.name, address, port))
    if (failure === 0) return socket
    throw this.closing(socket, failure, `connect ${address}:${port}`)
  }

  localName(socket: number): SocketName | undefined {
    this.nameLength.writeUInt32LE(socketAddressBytes, 0)
    return this.libc.getsockname(socket, this.name, this.nameLength) === 0 ? readSocketAddress(this.name) : undefined
  }

  /** Datagrams that came while the queue was full, since the socket was made; 0 where the kernel does not tell. */
  lostBefore(socket: number): number {
    this.valueLength.writeUInt32LE(this.info.length, 0)
    if (this.libc.getsockopt(socket, socketLevel, memoryInfo, this.info, this.valueLength) !== 0) return 0
    return this.valueLength.readUInt32LE(0) === this.info.length ? this.info.readUInt32LE(dropsAt * 4) : 0
  }

  close(socket: number): void {
    this.libc.close(socket)
  }
}
