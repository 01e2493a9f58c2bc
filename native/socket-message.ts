/**
 * One datagram with descriptors on a unix socket: sendmsg and recvmsg with SCM_RIGHTS. Layouts: unix(7), cmsg(3),
 * 64-bit Linux.
 */
import { errnoName } from './libc.ts'
import type { Libc } from './libc.ts'
import { maxSocketPathBytes, unixFamily } from './socket-address.ts'

const solSocket = 1
const scmRights = 1
const messageDontWait = 0x40
const messageNoSignal = 0x4000
const messageCloseOnExec = 0x4000_0000
const flagTruncatedControl = 0x8
const flagTruncated = 0x20

/** Linux's SCM_MAX_FD. */
const maxDescriptorsPerMessage = 253
const maxMessageBytes = 4096

export type SendOutcome =
  | 'sent'
  /** The receiver's queue is full, or the kernel is short of memory: try again later. */
  | 'full'
  /** Nobody has this socket open. */
  | 'gone'
  | { readonly problem: string }

export type ReceiveOutcome =
  | { readonly kind: 'empty' }
  | { readonly kind: 'message'; readonly bytes: Buffer; readonly descriptors: number[] }
  /** The message was cut (too long, or this process has no descriptor left); what came of it is closed. */
  | { readonly kind: 'cut'; readonly problem: string }

/**
 * Reused memory for one message at a time; a call fills it, makes the system call, and leaves nothing in it that
 * matters.
 */
export class MessageMemory {
  private readonly libc: Libc
  private readonly header = Buffer.alloc(56)
  private readonly vector = Buffer.alloc(16)
  private readonly name = Buffer.alloc(110)
  private readonly control = Buffer.alloc(16 + 4 * (maxDescriptorsPerMessage + 1))
  private readonly data = Buffer.alloc(maxMessageBytes)

  constructor(libc: Libc) {
    this.libc = libc
    this.vector.writeBigUInt64LE(libc.addressOf(this.data), 0)
  }

  send(socket: number, path: string, bytes: Buffer, descriptors: readonly number[]): SendOutcome {
    if (descriptors.length > maxDescriptorsPerMessage || bytes.length > maxMessageBytes) {
      return { problem: `message of ${bytes.length} bytes and ${descriptors.length} descriptors is too large` }
    }
    const nameLength = this.writeName(path)
    if (nameLength < 0) return { problem: `${path}: socket path is longer than ${maxSocketPathBytes} bytes` }
    bytes.copy(this.data)
    this.vector.writeBigUInt64LE(BigInt(bytes.length), 8)
    const used = descriptors.length === 0 ? 0 : 16 + 4 * descriptors.length
    if (used > 0) {
      this.control.writeBigUInt64LE(BigInt(used), 0)
      this.control.writeInt32LE(solSocket, 8)
      this.control.writeInt32LE(scmRights, 12)
      descriptors.forEach((descriptor, index) => this.control.writeInt32LE(descriptor, 16 + 4 * index))
    }
    // CMSG_SPACE rounds up to 8.
    this.writeHeader(nameLength, used === 0 ? 0 : (used + 7) & ~7)
    const sent = this.libc.sendmsg(socket, this.header, messageDontWait | messageNoSignal)
    if (sent >= 0) return 'sent'
    const reason = errnoName(-sent)
    if (reason === 'EAGAIN' || reason === 'ENOBUFS' || reason === 'ETOOMANYREFS' || reason === 'EINTR') return 'full'
    if (reason === 'ECONNREFUSED' || reason === 'ENOENT') return 'gone'
    return { problem: reason }
  }

  receive(socket: number): ReceiveOutcome {
    this.vector.writeBigUInt64LE(BigInt(maxMessageBytes), 8)
    this.control.fill(0, 0, 16)
    this.writeHeader(0, this.control.length)
    const got = this.libc.recvmsg(socket, this.header, messageDontWait | messageCloseOnExec)
    if (got < 0) {
      const reason = errnoName(-got)
      return reason === 'EAGAIN' || reason === 'EINTR' ? { kind: 'empty' } : { kind: 'cut', problem: reason }
    }
    const descriptors = this.readDescriptors(Number(this.header.readBigUInt64LE(40)))
    const flags = this.header.readInt32LE(48)
    if ((flags & (flagTruncated | flagTruncatedControl)) !== 0) {
      for (const descriptor of descriptors) this.libc.close(descriptor)
      return { kind: 'cut', problem: 'the message was cut off: too long, or no descriptor left in this process' }
    }
    return { kind: 'message', bytes: Buffer.from(this.data.subarray(0, got)), descriptors }
  }

  /**
   * Address of a bound socket: `path`, or an abstract name that begins with `@`. Answers its bytes and length, or
   * undefined when too long.
   */
  address(path: string): { readonly bytes: Buffer; readonly length: number } | undefined {
    const length = this.writeName(path)
    return length < 0 ? undefined : { bytes: this.name, length }
  }

  private writeName(path: string): number {
    const length = Buffer.byteLength(path)
    if (length === 0 || length > maxSocketPathBytes) return -1
    this.name.fill(0)
    this.name.writeUInt16LE(unixFamily, 0)
    this.name.write(path, 2)
    if (path.startsWith('@')) {
      this.name.writeUInt8(0, 2)
      return 2 + length
    }
    return 2 + length + 1
  }

  private writeHeader(nameLength: number, controlLength: number): void {
    const { header, libc } = this
    header.writeBigUInt64LE(nameLength === 0 ? 0n : libc.addressOf(this.name), 0)
    header.writeBigUInt64LE(BigInt(nameLength), 8)
    header.writeBigUInt64LE(libc.addressOf(this.vector), 16)
    header.writeBigUInt64LE(1n, 24)
    header.writeBigUInt64LE(controlLength === 0 ? 0n : libc.addressOf(this.control), 32)
    header.writeBigUInt64LE(BigInt(controlLength), 40)
    header.writeBigUInt64LE(0n, 48)
  }

  private readDescriptors(controlLength: number): number[] {
    const descriptors: number[] = []
    let at = 0
    while (at + 16 <= controlLength) {
      const length = Number(this.control.readBigUInt64LE(at))
      if (length < 16 || at + length > controlLength) break
      if (this.control.readInt32LE(at + 8) === solSocket && this.control.readInt32LE(at + 12) === scmRights) {
        for (let next = at + 16; next + 4 <= at + length; next += 4) descriptors.push(this.control.readInt32LE(next))
      }
      at += (length + 7) & ~7
    }
    return descriptors
  }
}
