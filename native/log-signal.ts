/**
 * SIGUSR1 for a listener of ours. `--disable-sigusr1` keeps it from opening Node's debugger by blocking it, so that a
 * listener hears nothing either (Node 26). Once the listener is there the signal is its alone, and may come through.
 */
import { libcOnce } from './libc.ts'

const unblock = 1
const bytesOfSet = 128
/** Number 10 is bit 9 of the set. */
const setOfSigusr1 = (): Buffer => Buffer.alloc(bytesOfSet).fill(0x02, 1, 2)

/** After `process.on('SIGUSR1', …)`, on the main thread. False where the call is missing or refused. */
export function letSigusr1Through(): boolean {
  const call = { pthread_sigmask: { arguments: ['i32', 'buffer', 'buffer'], return: 'i32' } } as const
  return libcOnce(call, ({ pthread_sigmask: mask }) => mask(unblock, setOfSigusr1(), Buffer.alloc(bytesOfSet))) === 0
}
