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
  /** The share of the heap that is left when one object of a hundred lives on. */
  function leftAfterStart(objects: number): number {
    const code = `
      const { compactAfterStart } = await import('${native}/idle-memory.ts')
      const made = Array.from({ length: ${objects} }, (_, index) => ({ index }))
      globalThis.kept = made.filter((_, index) => index % 100 === 0)
      made.length = 0
      const before = process.memoryUsage().heapTotal
      compactAfterStart()
      console.log(process.memoryUsage().heapTotal / before)`
    const words = ['--expose-gc', '--input-type=module', '-e', code]
    return Number(execFileSync(process.execPath, words, { encoding: 'utf8' }))
  }

  it('goes back after a start, where little is left on each page', () => {
    expect(leftAfterStart(300_000)).to.be.below(0.5)
  })

  it('is left alone after a start where moving it would take long', () => {
    expect(leftAfterStart(3_000_000)).to.be.above(0.9)
  })
})
