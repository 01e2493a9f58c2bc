/**
 * System calls of the data path without a wrapper (`bare-functions.ts`, docs/decisions/0035). They touch addresses only
 * of memory that they were handed as a `FixedMemory`, with every range looked at first.
 */
import { bareFunctions } from './bare-functions.ts'
import type { FixedMemory } from './bare-functions.ts'
import { bareSource, wrappedSource } from './call-source.ts'
import type { CallSource } from './call-source.ts'

/**
 * Every call: below 0 = failed, with -errno, which is read in the very function that called, as in `libc.ts`. None of
 * them blocks.
 */
export interface FastCalls {
  /** What lies inside V8's heap, as short arrays may, is taken out of it. */
  fix(bytes: Buffer): FixedMemory
  /** Into the whole memory. */
  recv(socket: number, into: FixedMemory): number
  /** 1: bytes can be read. 0: the end. Takes nothing. */
  peek(socket: number): number
  /** `memory[from..to)`; RangeError for what lies outside of it. Never raises SIGPIPE. */
  send(socket: number, memory: FixedMemory, from: number, to: number): number
  /** The new connection's descriptor, non-blocking and closed on exec. */
  accept(socket: number): number
  close(descriptor: number): number
  /** Between a socket and a pipe, at most `length` bytes. */
  splice(from: number, to: number, length: number): number
  epollCreate(): number
  /** `key` comes back with each event, `turn` as well: 0 to 2^31-1. */
  epollAdd(queue: number, descriptor: number, events: number, key: number, turn: number): number
  epollChange(queue: number, descriptor: number, events: number, key: number, turn: number): number
  epollRemove(queue: number, descriptor: number): number
  /** Events that are there now; they lie in `events` until the next call. */
  epollTake(queue: number): number
  readonly events: EpollEvents
  /** Further calls, for parts that only some workers have. */
  readonly source: CallSource
}

export interface EpollEvents {
  what(index: number): number
  key(index: number): number
  turn(index: number): number
}

export type FastCallsOutcome =
  { readonly calls: FastCalls; readonly problem: undefined } | { readonly calls: undefined; readonly problem: string }

/** Answers a reason instead of throwing. Proves nothing yet: that is the caller's, in a process that may die of it. */
export function openFastCalls(): FastCallsOutcome {
  const bare = bareFunctions()
  if (typeof bare === 'string') return { calls: undefined, problem: bare }
  try {
    return { calls: callsOf(bareSource(bare)), problem: undefined }
  } catch (error) {
    return { calls: undefined, problem: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * The same calls with `node:ffi`'s checks around each, for processes that may not have bare ones. Throws without it.
 */
export function openWrappedCalls(): FastCalls {
  return callsOf(wrappedSource())
}

/** MSG_DONTWAIT; MSG_PEEK; MSG_NOSIGNAL. */
const [dontWait, peekOnly, noSignal] = [0x40, 0x2, 0x4000]
/** SOCK_NONBLOCK | SOCK_CLOEXEC, EPOLL_CLOEXEC. */
const [acceptFlags, closeOnExec] = [0o2004000, 0o2000000]
/** SPLICE_F_MOVE | SPLICE_F_NONBLOCK. */
const moveFlags = 3n
const [controlAdd, controlRemove, controlChange] = [1, 2, 3]
/** struct epoll_event in words of 4: events, then 8 bytes of our own; packed on x64 alone. */
const [eventWords, ownAt] = process.arch === 'x64' ? [3, 1] : [4, 2]
const eventsPerTake = 512
/** BigInts of lengths below this are made once. */
const keptLengths = 4096

function callsOf(source: CallSource): FastCalls {
  const { failure, fix, take } = source
  const recv = take('recv', 'i32', 'u64', 'u64', 'i32')
  const send = take('send', 'i32', 'u64', 'u64', 'i32')
  const accept4 = take('accept4', 'i32', 'u64', 'u64', 'i32')
  const close = take('close', 'i32')
  const splice = take('splice', 'i32', 'u64', 'i32', 'u64', 'u64', 'u64')
  const create = take('epoll_create1', 'i32')
  const control = take('epoll_ctl', 'i32', 'i32', 'i32', 'u64')
  const wait = take('epoll_wait', 'i32', 'u64', 'i32', 'i32')
  const lengths = Array.from({ length: keptLengths }, (_, length) => BigInt(length))
  const wide = (length: number): bigint => (length < keptLengths ? lengths[length]! : BigInt(length))

  const own = fix(Buffer.allocUnsafeSlow(eventsPerTake * eventWords * 4))
  const words = new Int32Array(own.bytes.buffer, own.bytes.byteOffset, eventsPerTake * eventWords)
  const eventsAt = own.address
  const asked = fix(Buffer.allocUnsafeSlow(eventWords * 4))
  const askedWords = new Int32Array(asked.bytes.buffer, asked.bytes.byteOffset, eventWords)
  const askedAt = asked.address

  const change = (queue: number, action: number, descriptor: number, events: number, key: number, turn: number) => {
    askedWords[0] = events
    askedWords[ownAt] = key
    askedWords[ownAt + 1] = turn
    const result = control(queue, action, descriptor, askedAt)
    return result < 0 ? -failure[0]! : result
  }

  return {
    fix,
    recv(socket, into) {
      const result = recv(socket, into.address, into.size, dontWait)
      return result < 0 ? -failure[0]! : result
    },
    peek(socket) {
      const result = recv(socket, askedAt, 1n, dontWait | peekOnly)
      return result < 0 ? -failure[0]! : result
    },
    send(socket, memory, from, to) {
      if (from < 0 || from > to || to > memory.bytes.length) throw new RangeError(`${from}..${to} is outside`)
      const start = from === 0 ? memory.address : memory.address + BigInt(from)
      const result = send(socket, start, wide(to - from), dontWait | noSignal)
      return result < 0 ? -failure[0]! : result
    },
    accept(socket) {
      const result = accept4(socket, 0n, 0n, acceptFlags)
      return result < 0 ? -failure[0]! : result
    },
    close(descriptor) {
      const result = close(descriptor)
      return result < 0 ? -failure[0]! : result
    },
    splice(from, to, length) {
      const result = splice(from, 0n, to, 0n, wide(length), moveFlags)
      return result < 0 ? -failure[0]! : result
    },
    epollCreate() {
      const result = create(closeOnExec)
      return result < 0 ? -failure[0]! : result
    },
    epollAdd: (queue, descriptor, events, key, turn) => change(queue, controlAdd, descriptor, events, key, turn),
    epollChange: (queue, descriptor, events, key, turn) => change(queue, controlChange, descriptor, events, key, turn),
    epollRemove: (queue, descriptor) => change(queue, controlRemove, descriptor, 0, 0, 0),
    epollTake(queue) {
      const result = wait(queue, eventsAt, eventsPerTake, 0)
      return result < 0 ? -failure[0]! : result
    },
    events: {
      what: (index) => words[index * eventWords]!,
      key: (index) => words[index * eventWords + ownAt]!,
      turn: (index) => words[index * eventWords + ownAt + 1]!,
    },
    source,
  }
}
