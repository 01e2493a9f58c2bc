import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Child } from '../../../../watchdog/supervise/child.ts'
import type { ChildEnd } from '../../../../watchdog/supervise/child.ts'

describe('a program that cannot be started', () => {
  let runDir: string

  beforeEach(() => {
    runDir = mkdtempSync(join(tmpdir(), 'hm-child-'))
  })

  afterEach(() => rmSync(runDir, { recursive: true, force: true }))

  const reasons = [
    { title: 'is not there', program: join(import.meta.dirname, 'nothing'), problem: 'ENOENT' },
    { title: 'lies below a file', program: join(import.meta.filename, 'node'), problem: 'ENOTDIR' },
    { title: 'has no name', program: '', problem: 'empty' },
  ]
  for (const { title, program, problem } of reasons) {
    it(`because it ${title} ends as a process that died, when whoever starts it knows it`, async () => {
      const ended = Promise.withResolvers<{ readonly child: Child; readonly end: ChildEnd }>()
      let known: Child | undefined
      const hooks = {
        onLastWords: (child: Child) => expect(child).to.equal(known),
        onEnd: (child: Child, end: ChildEnd) => ended.resolve({ child, end }),
      }
      known = Child.start({ role: 'worker', index: 0, generation: 1 }, [program], runDir, 0, hooks)
      expect(known.isGone).to.equal(false)
      const { child, end } = await ended.promise
      expect(child).to.equal(known)
      expect(child.isGone).to.equal(true)
      expect(end.isClean).to.equal(false)
      expect(end.how)
        .to.match(/^could not be started: /)
        .and.to.include(problem)
    })
  }
})
