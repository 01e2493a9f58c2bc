import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'chai'

describe('what the C library keeps for allocations to come', () => {
  it('is given back, and the process goes on', () => {
    const code = `
      import { readFileSync } from 'node:fs'
      import { loadNative } from '${join(import.meta.dirname, '../../../native/descriptors.ts')}'
      import { trimAllocator } from '${join(import.meta.dirname, '../../../native/allocator.ts')}'
      loadNative()
      const rss = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
      // every hundredth stays: holes between them
      const held = Array.from({ length: 4000 }, (_, i) => Buffer.alloc(60_000, i)).filter((_, i) => i % 100 === 0)
      globalThis.gc()
      const before = rss()
      const isDone = trimAllocator()
      console.log(JSON.stringify({ isDone, isSmaller: before - rss() > 10_000, held: held.length }))`
    const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', code], {
      encoding: 'utf8',
    })
    expect(JSON.parse(stdout || stderr)).to.deep.equal({ isDone: true, isSmaller: true, held: 40 })
  })
})
