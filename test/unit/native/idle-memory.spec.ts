import { expect } from 'chai'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const native = join(import.meta.dirname, '../../../native')

describe('memory of a process at rest', () => {
  it('goes back to the system, garbage that nothing else would collect', () => {
    const code = `
      await import('${native}/descriptors.ts').then(({ loadNative }) => loadNative())
      const { releaseIdleMemory } = await import('${native}/idle-memory.ts')
      globalThis.kept = Array.from({ length: 400_000 }, (_, index) => ({ index }))
      const before = process.memoryUsage.rss()
      globalThis.kept = undefined
      releaseIdleMemory()
      console.log(Math.round((before - process.memoryUsage.rss()) / 1e6))`
    const words = ['--expose-gc', '--input-type=module', '-e', code]
    expect(Number(execFileSync(process.execPath, words, { encoding: 'utf8' }))).to.be.greaterThan(10)
  })
})
