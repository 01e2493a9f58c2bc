/**
 * C functions without the JavaScript that `node:ffi` puts around every function (0.45 µs per call,
 * docs/decisions/0035). Nothing checks what such a function is given, so addresses stay in this file, in
 * `fast-calls.ts` and in `fast-ciphers.ts`: only of memory that they were handed as a `FixedMemory`, with every range
 * looked at first.
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
  /** Of `bytes`, made once: a call that fills all of it makes no number. */
  readonly size: bigint

  constructor(bytes: Buffer, address: bigint) {
    this.bytes = bytes
    this.address = address
    this.size = BigInt(bytes.length)
  }
}

export type Signature = { readonly arguments: readonly string[]; readonly return: string }
export type BareFunction = ((...args: (number | bigint)[]) => number) & { readonly [fast: symbol]: unknown }

export interface Binding {
  readonly DynamicLibrary: { new (path: string | null): object }
  readonly kFastArguments: symbol
  getRawPointer(memory: Buffer): bigint
  toArrayBuffer(address: bigint, length: number, copy: boolean): ArrayBuffer
}

export interface Bare {
  readonly binding: Binding
  readonly getFunction: (this: object, name: string, signature: Signature) => BareFunction
}

/** Taken while this module is evaluated: `libc.ts` imports it, and nothing else loads `node:ffi`. */
const found = takeBare()

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

/** The functions, or why there are none. */
export function bareFunctions(): Bare | string {
  return untriedReason(process.versions.node, process.arch, process.platform) ?? found
}

/** By name; throws where the library lacks it, and where this system has no direct call. */
export function takeFunction(
  { binding, getFunction }: Bare,
  library: object,
  name: string,
  types: readonly string[],
  result = 'i32',
): BareFunction {
  const taken = getFunction.call(library, name, { arguments: types, return: result })
  // Without machine code of its own (no executable memory) the function expects its arguments elsewhere.
  if (taken[binding.kFastArguments] === undefined) throw new Error(`${name}: no direct call on this system`)
  return taken
}

/** What lies inside V8's heap, as short arrays may, is taken out of it. */
export function fixMemory({ binding }: Bare, bytes: Buffer): FixedMemory {
  if (bytes.buffer.byteLength < bytes.length) throw new RangeError('memory that is detached')
  return new FixedMemory(bytes, binding.getRawPointer(bytes))
}
