/**
 * Where system calls of the data path come from: bare functions where this process may have them, else `node:ffi` with
 * its own checks around each. What calls them is the same.
 */
import { fixMemory, FixedMemory, takeFunction } from './bare-functions.ts'
import type { Bare } from './bare-functions.ts'
import { quietly } from './quietly.ts'

export type SystemCall = (...args: (number | bigint)[]) => number

export interface CallSource {
  /**
   * By name. Lengths and addresses are `u64`, also where C would take 32: what lies above 32 bits of a register is not
   * cleared. The result fits 32 bits.
   */
  take(name: string, ...types: string[]): SystemCall
  /** What lies inside V8's heap, as short arrays may, is taken out of it. */
  fix(bytes: Buffer): FixedMemory
  /** errno of this thread, to be read in the very function that called. */
  readonly failure: Int32Array
}

const library = 'libc.so.6'

/** Throws where the library or a direct call is missing. */
export function bareSource(bare: Bare): CallSource {
  const { binding, getFunction } = bare
  const opened = new binding.DynamicLibrary(library)
  const location = getFunction.call(opened, '__errno_location', { arguments: [], return: 'pointer' })
  return {
    take: (name, ...types) => takeFunction(bare, opened, name, types),
    fix: (bytes) => fixMemory(bare, bytes),
    failure: new Int32Array(binding.toArrayBuffer((location as unknown as () => bigint)(), 4, false)),
  }
}

/** Throws where Node has no `node:ffi`. */
export function wrappedSource(): CallSource {
  const ffi = quietly(() => process.getBuiltinModule('node:ffi'))
  if (ffi === undefined) throw new Error(`node ${process.version} has no node:ffi`)
  const { functions } = ffi.dlopen(library, { __errno_location: { arguments: [], return: 'pointer' } })
  return {
    take(name, ...types) {
      const taken = ffi.dlopen(library, { [name]: { arguments: types, return: 'i32' } } as never)
      return (taken.functions as Record<string, unknown>)[name] as SystemCall
    },
    fix: (bytes) => new FixedMemory(bytes, ffi.getRawPointer(bytes)),
    failure: new Int32Array(ffi.toArrayBuffer(functions.__errno_location(), 4, false)),
  }
}
