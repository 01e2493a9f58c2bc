/**
 * Datagrams, many per system call: recvmmsg(2) and sendmmsg(2) over memory of its own. What was taken stays in its slot
 * until the next `receive`, and is sent on from there. Layouts: struct mmsghdr and iovec of 64-bit Linux.
 */
import type { FixedMemory } from './bare-functions.ts'
import type { CallSource, SystemCall } from './call-source.ts'
import { readSocketAddress, socketAddressBytes } from './socket-address.ts'

/** Datagrams that one call takes at most: what one socket may carry before others get their turn. */
const batchSlots = 32
/** More than UDP can carry, so that nothing is ever cut. */
const slotBytes = 65_536
/** MSG_DONTWAIT, MSG_NOSIGNAL. */
const [dontWait, noSignal] = [0x40, 0x4000]

/** In words of 4 bytes. */
const headerWords = 16
const [nameLengthAt, lengthAt] = [2, 14]
const vectorWords = 4
const vectorLengthAt = 2
const nameWords = 8
const inetFamily = 2

/** Who sent a datagram: the same number or text for the same address and port. */
export type SenderKey = number | string

/** Every call: below 0 = failed, with -errno. None of them blocks. */
export class DatagramBatch {
  private readonly failure: Int32Array
  private readonly recvmmsg: SystemCall
  private readonly sendmmsg: SystemCall
  private readonly data: FixedMemory
  private readonly names: FixedMemory
  private readonly nameWordsOf: Int32Array
  private readonly taken: Int32Array
  private readonly takenAt: bigint
  private readonly sent: Int32Array
  private readonly sentAt: readonly bigint[]
  private readonly sentVectors: Int32Array
  /** The headers hold addresses alone: this keeps what they point at alive. */
  readonly pointedAt: readonly FixedMemory[]
  /** Slots whose header was written by the last `receive`. */
  private used = batchSlots

  constructor({ failure, fix, take }: CallSource) {
    const memory = (bytes: number): FixedMemory => fix(Buffer.allocUnsafeSlow(bytes).fill(0))
    const wordsOf = ({ bytes }: FixedMemory): Int32Array =>
      new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    this.failure = failure
    this.recvmmsg = take('recvmmsg', 'i32', 'u64', 'u64', 'u64', 'u64')
    this.sendmmsg = take('sendmmsg', 'i32', 'u64', 'u64', 'u64')
    // not filled: pages are only there once a datagram was
    this.data = fix(Buffer.allocUnsafeSlow(batchSlots * slotBytes))
    this.names = memory(batchSlots * nameWords * 4)
    this.nameWordsOf = wordsOf(this.names)
    const takenVectors = memory(batchSlots * vectorWords * 4)
    const sentVectors = memory(batchSlots * vectorWords * 4)
    const taken = memory(batchSlots * headerWords * 4)
    const sent = memory(batchSlots * headerWords * 4)
    this.pointedAt = [takenVectors, sentVectors, taken, sent]
    for (let slot = 0; slot < batchSlots; slot++) {
      const dataAt = this.data.address + BigInt(slot * slotBytes)
      for (const vectors of [takenVectors, sentVectors]) {
        vectors.bytes.writeBigUInt64LE(dataAt, slot * vectorWords * 4)
        vectors.bytes.writeBigUInt64LE(BigInt(slotBytes), slot * vectorWords * 4 + vectorLengthAt * 4)
      }
      const nameAt = this.names.address + BigInt(slot * nameWords * 4)
      for (const [headers, vectors] of [
        [taken, takenVectors],
        [sent, sentVectors],
      ] as const) {
        const at = slot * headerWords * 4
        headers.bytes.writeBigUInt64LE(nameAt, at)
        headers.bytes.writeBigUInt64LE(vectors.address + BigInt(slot * vectorWords * 4), at + 16)
        headers.bytes.writeBigUInt64LE(1n, at + 24)
      }
    }
    this.taken = wordsOf(taken)
    this.takenAt = taken.address
    this.sent = wordsOf(sent)
    this.sentAt = addressesOf(sent)
    this.sentVectors = wordsOf(sentVectors)
  }

  /** How many came, in slots from 0 on. */
  receive(socket: number): number {
    const { taken } = this
    for (let slot = 0; slot < this.used; slot++) taken[slot * headerWords + nameLengthAt] = socketAddressBytes
    const result = this.recvmmsg(socket, this.takenAt, slotsWide, dontWaitWide, 0n)
    if (result < 0) {
      this.used = batchSlots
      return -this.failure[0]!
    }
    this.used = result
    for (let slot = 0; slot < result; slot++) {
      this.sentVectors[slot * vectorWords + vectorLengthAt] = taken[slot * headerWords + lengthAt]!
    }
    return result
  }

  lengthOf(slot: number): number {
    return this.taken[slot * headerWords + lengthAt]!
  }

  senderOf(slot: number): SenderKey {
    const { nameWordsOf } = this
    const at = slot * nameWords
    const first = nameWordsOf[at]!
    // the port stands in the upper half of the first word
    if ((first & 0xffff) === inetFamily) return (nameWordsOf[at + 1]! >>> 0) * 65_536 + (first >>> 16)
    return otherKey(this.names.bytes, at * 4)
  }

  isSameSender(slot: number, other: number): boolean {
    const { nameWordsOf } = this
    const [at, otherAt] = [slot * nameWords, other * nameWords]
    if (nameWordsOf[at] !== nameWordsOf[otherAt] || nameWordsOf[at + 1] !== nameWordsOf[otherAt + 1]) return false
    return (nameWordsOf[at]! & 0xffff) === inetFamily || this.senderOf(slot) === this.senderOf(other)
  }

  /** A copy of the sender's address, for `sendTo` and `readSocketAddress`. */
  nameOf(slot: number): Buffer {
    const from = slot * nameWords * 4
    return Buffer.from(this.names.bytes.subarray(from, from + socketAddressBytes))
  }

  /** What lies in slots `from..to` goes to where the socket is connected; answers how many went. */
  send(socket: number, from: number, to: number): number {
    for (let slot = from; slot < to; slot++) this.sent[slot * headerWords + nameLengthAt] = 0
    return this.sendSlots(socket, from, to)
  }

  /** The same, to `name`. */
  sendTo(socket: number, from: number, to: number, name: Buffer): number {
    const length = name.readUInt16LE(0) === inetFamily ? 16 : socketAddressBytes
    for (let slot = from; slot < to; slot++) {
      this.sent[slot * headerWords + nameLengthAt] = length
      this.names.bytes.set(name, slot * nameWords * 4)
    }
    return this.sendSlots(socket, from, to)
  }

  private sendSlots(socket: number, from: number, to: number): number {
    if (from < 0 || from > to || to > this.used) throw new RangeError(`${from}..${to} is outside`)
    const result = this.sendmmsg(socket, this.sentAt[from]!, BigInt(to - from), sendFlags)
    return result < 0 ? -this.failure[0]! : result
  }
}

const slotsWide = BigInt(batchSlots)
const dontWaitWide = BigInt(dontWait)
const sendFlags = BigInt(dontWait | noSignal)

function addressesOf(headers: FixedMemory): bigint[] {
  return Array.from({ length: batchSlots }, (_, slot) => headers.address + BigInt(slot * headerWords * 4))
}

/** Without the flow label: port, address, scope. */
function otherKey(bytes: Buffer, from: number): string {
  return bytes.toString('latin1', from + 2, from + 4) + bytes.toString('latin1', from + 8, from + socketAddressBytes)
}

/** What `senderOf` says of it, of a copy that `nameOf` made. */
export function keyOfSender(name: Buffer): SenderKey {
  if (name.readUInt16LE(0) !== inetFamily) return otherKey(name, 0)
  return name.readUInt32LE(4) * 65_536 + name.readUInt16LE(2)
}

/** Of a copy that `nameOf` made. */
export function senderAddress(name: Buffer): { readonly address: string; readonly port: number } {
  return readSocketAddress(name) ?? { address: '', port: 0 }
}
