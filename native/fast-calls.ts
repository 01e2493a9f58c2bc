/**
 * System calls of the data path without the JavaScript that `node:ffi` puts around every function (0.45 µs per call,
 * docs/decisions/0035). Nothing checks what such a function is given, so this is the one file that touches addresses:
 * only of memory that it was handed as a `FixedMemory`, with every range looked at first.
 *
 * The bare functions come from Node's own binding, before `node:ffi` is loaded for the first time: whoever starts the
 * process has to give it `--expose-internals`. They are tested API of nobody; so only exactly the Node versions and
 * machines that were tried are served, and everybody else gets a reason.
 */
import { createRequire } from 'node:module'

/** `process.versions.node` and `process.arch` of machines on which the whole test suite has run with these calls. */
export const triedNodes: readonly string[] = ['26.10.0']
export const triedMachines: readonly string[] = ['x64']
/** What the starter of a process must give to Node for these calls. */
export const fastCallsFlag = '--expose-internals'

/** Memory outside V8's heap that stays where it is as long as this object lives. */
export class FixedMemory {
  readonly bytes: Buffer
  /** For this file alone. */
  readonly address: bigint

  constructor(bytes: Buffer, address: bigint) {
    this.bytes = bytes
    this.address = address
  }
}

/** Every call answers -1 when it failed; `errno` is then good until the next one. None of them blocks. */
export interface FastCalls {
  /** errno(3) of the last call that failed. */
  readonly errno: number
  /** What lies inside V8's heap, as short arrays may, is taken out of it. */
  fix(bytes: Buffer): FixedMemory
  /** Into the whole memory. */
  recv(socket: number, into: FixedMemory): number
  /** 1: bytes can be read. 0: the end. -1: none, or broken. Takes nothing. */
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
}

export interface EpollEvents {
  what(index: number): number
  key(index: number): number
  turn(index: number): number
}

export type FastCallsOutcome =
  { readonly calls: FastCalls; readonly problem: undefined } | { readonly calls: undefined; readonly problem: string }

type Signature = { readonly arguments: readonly string[]; readonly return: string }
type BareFunction = ((...args: (number | bigint)[]) => number) & { readonly [fast: symbol]: unknown }

interface Binding {
  readonly DynamicLibrary: { new (path: string): object }
  readonly kFastArguments: symbol
  getRawPointer(memory: Buffer): bigint
  toArrayBuffer(address: bigint, length: number, copy: boolean): ArrayBuffer
}

interface Bare {
  readonly binding: Binding
  readonly getFunction: (this: object, name: string, signature: Signature) => BareFunction
}

/** Taken while this module is evaluated: `libc.ts` imports it, and nothing else loads `node:ffi`. */
const bare = takeBare()

function takeBare(): Bare | string {
  if (!process.execArgv.includes(fastCallsFlag)) return `node was started without ${fastCallsFlag}`
  const emit = process.emitWarning
  process.emitWarning = () => {}
  try {
    const { internalBinding } = createRequire(import.meta.url)('internal/test/binding') as {
      internalBinding(name: string): Binding
    }
    const binding = internalBinding('ffi')
    const { getFunction } = binding.DynamicLibrary.prototype as Bare
    const isBare = Function.prototype.toString.call(getFunction).includes('[native code]')
    return isBare ? { binding, getFunction } : 'node:ffi was loaded before'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    process.emitWarning = emit
  }
}

/** Whether these calls were tried on such a machine; the reason if not. */
export function untriedReason(node: string, machine: string, platform: string): string | undefined {
  if (platform !== 'linux' || !triedMachines.includes(machine))
    return `tried on linux ${triedMachines.join(', ')}, found ${platform} ${machine}`
  if (!triedNodes.includes(node)) return `tried on node ${triedNodes.join(', ')}, found ${node}`
  return undefined
}

/** Answers a reason instead of throwing. Proves nothing yet: that is the caller's, in a process that may die of it. */
export function openFastCalls(): FastCallsOutcome {
  const untried = untriedReason(process.versions.node, process.arch, process.platform)
  if (untried !== undefined) return { calls: undefined, problem: untried }
  if (typeof bare === 'string') return { calls: undefined, problem: bare }
  try {
    return { calls: bareCalls(bare), problem: undefined }
  } catch (error) {
    return { calls: undefined, problem: error instanceof Error ? error.message : String(error) }
  }
}

/** MSG_DONTWAIT; MSG_PEEK; MSG_NOSIGNAL. */
const [dontWait, peekOnly, noSignal] = [0x40, 0x2, 0x4000]
/** SOCK_NONBLOCK | SOCK_CLOEXEC, EPOLL_CLOEXEC. */
const [acceptFlags, closeOnExec] = [0o2004000, 0o2000000]
/** SPLICE_F_MOVE | SPLICE_F_NONBLOCK. */
const moveFlags = 3n
const [controlAdd, controlRemove, controlChange] = [1, 2, 3]
/** struct epoll_event of x64: 12 bytes, packed; in words of 4: events, then 8 bytes of our own. */
const eventWords = 3
const eventsPerTake = 512
/** BigInts of lengths below this are made once. */
const keptLengths = 4096

function bareCalls({ binding, getFunction }: Bare): FastCalls {
  const library = new binding.DynamicLibrary('libc.so.6')
  const take = (name: string, ...types: string[]): BareFunction => {
    const found = getFunction.call(library, name, { arguments: types, return: 'i32' })
    // Without machine code of its own (no executable memory) the function expects its arguments elsewhere.
    if (found[binding.kFastArguments] === undefined) throw new Error(`${name}: no direct call on this system`)
    return found
  }
  // Lengths and addresses are 64 bits wide here, also where C would take 32: what lies above 32 bits of a register is
  // not cleared. Results fit 32.
  const recv = take('recv', 'i32', 'u64', 'u64', 'i32')
  const send = take('send', 'i32', 'u64', 'u64', 'i32')
  const accept4 = take('accept4', 'i32', 'u64', 'u64', 'i32')
  const close = take('close', 'i32')
  const splice = take('splice', 'i32', 'u64', 'i32', 'u64', 'u64', 'u64')
  const create = take('epoll_create1', 'i32')
  const control = take('epoll_ctl', 'i32', 'i32', 'i32', 'u64')
  const wait = take('epoll_wait', 'i32', 'u64', 'i32', 'i32')
  const location = getFunction.call(library, '__errno_location', { arguments: [], return: 'pointer' })
  const failure = new Int32Array(binding.toArrayBuffer((location as unknown as () => bigint)(), 4, false))

  const fix = (bytes: Buffer): FixedMemory => {
    if (bytes.buffer.byteLength < bytes.length) throw new RangeError('memory that is detached')
    return new FixedMemory(bytes, binding.getRawPointer(bytes))
  }
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
    askedWords[1] = key
    askedWords[2] = turn
    return control(queue, action, descriptor, askedAt)
  }

  return {
    get errno() {
      return failure[0]!
    },
    fix,
    recv: (socket, into) => recv(socket, into.address, wide(into.bytes.length), dontWait),
    peek: (socket) => recv(socket, askedAt, 1n, dontWait | peekOnly),
    send(socket, memory, from, to) {
      if (from < 0 || from > to || to > memory.bytes.length) throw new RangeError(`${from}..${to} is outside`)
      const start = from === 0 ? memory.address : memory.address + BigInt(from)
      return send(socket, start, wide(to - from), dontWait | noSignal)
    },
    accept: (socket) => accept4(socket, 0n, 0n, acceptFlags),
    close: (descriptor) => close(descriptor),
    splice: (from, to, length) => splice(from, 0n, to, 0n, wide(length), moveFlags),
    epollCreate: () => create(closeOnExec),
    epollAdd: (queue, descriptor, events, key, turn) => change(queue, controlAdd, descriptor, events, key, turn),
    epollChange: (queue, descriptor, events, key, turn) => change(queue, controlChange, descriptor, events, key, turn),
    epollRemove: (queue, descriptor) => change(queue, controlRemove, descriptor, 0, 0, 0),
    epollTake: (queue) => wait(queue, eventsAt, eventsPerTake, 0),
    events: {
      what: (index) => words[index * eventWords]!,
      key: (index) => words[index * eventWords + 1]!,
      turn: (index) => words[index * eventWords + 2]!,
    },
  }
}
