/** The memory of another process, as somebody sees it who may look. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

const chunkBytes = 4 * 1024 * 1024

/** How often the bytes stand in memory that the process may write. Throws where one may not look. */
export function processMemory(pid: number, bytes: Buffer): number {
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const chunk = Buffer.allocUnsafeSlow(chunkBytes)
  let found = 0
  try {
    for (const [from, to] of writableRegions(pid))
      for (let at = from; at < to; at += chunkBytes - bytes.length) found += countIn(memory, chunk, at, to, bytes)
  } finally {
    closeSync(memory)
    chunk.fill(0)
  }
  return found
}

function countIn(memory: number, chunk: Buffer, at: number, to: number, bytes: Buffer): number {
  let length = 0
  try {
    length = readSync(memory, chunk, 0, Math.min(chunkBytes, to - at), at)
  } catch {
    // a guard page, or gone since
  }
  const part = chunk.subarray(0, length)
  let count = 0
  for (let index = part.indexOf(bytes); index >= 0; index = part.indexOf(bytes, index + 1)) count++
  return count
}

function writableRegions(pid: number): (readonly [from: number, to: number])[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
      return from === undefined || to === undefined ? [] : [[parseInt(from, 16), parseInt(to, 16)] as const]
    })
}
