/**
 * Gives back the pages of program files that only the start needed. A process that lives for months and does little
 * then shows what it really uses.
 *
 * Only mappings of files that this process can neither write nor has changed (no private dirty page in
 * /proc/self/smaps) are dropped; the kernel reads them again from the page cache when they are touched (madvise(2),
 * MADV_DONTNEED). Does nothing where the calls are missing.
 */
import { readFileSync } from 'node:fs'

import { libcOnce } from './libc.ts'

const dontNeed = 4

/** Start and end address of each droppable mapping. */
export function droppableMappings(smaps: string): { readonly start: bigint; readonly end: bigint }[] {
  const found: { start: bigint; end: bigint }[] = []
  let open: { start: bigint; end: bigint } | undefined
  for (const line of smaps.split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\S+) *(.*)$/.exec(line)
    if (head !== null) {
      const [, start = '', end = '', mode, , path = ''] = head
      const isProgram = (mode === 'r-xp' || mode === 'r--p') && path.startsWith('/')
      open = isProgram ? { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) } : undefined
    } else if (open !== undefined && line.startsWith('Private_Dirty:')) {
      if (/^Private_Dirty: +0 kB$/.test(line)) found.push(open)
      open = undefined
    }
  }
  return found
}

/** True when something could be given back. */
export function releaseStartupPages(): boolean {
  const call = { madvise: { arguments: ['u64', 'u64', 'i32'], return: 'i32' } } as const
  const given = libcOnce(call, ({ madvise }) =>
    droppableMappings(readFileSync('/proc/self/smaps', 'latin1')).map(
      ({ start, end }) => madvise(start, end - start, dontNeed) === 0,
    ),
  )
  return given?.includes(true) === true
}
