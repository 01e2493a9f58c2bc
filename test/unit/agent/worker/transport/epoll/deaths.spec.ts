import { expect } from 'chai'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  Deaths,
  deathsAllowed,
  rememberedMs,
  startOfProcess,
} from '../../../../../../agent/worker/transport/epoll/deaths.ts'

describe('deaths of workers that keep their sockets themselves', () => {
  let folder: string
  let file: string
  let now: number
  let running: Map<number, number>

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-deaths-'))
    file = join(folder, 'deaths.json')
    now = 1_000_000_000
    running = new Map()
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const start = (pid: number) => {
    running.set(pid, pid * 10)
    return new Deaths({ file, now: () => now, pid, startOf: (asked) => running.get(asked) })
  }
  const die = (pid: number) => running.delete(pid)

  it('are forgiven twice; then the next worker does without, until the first of them is ten minutes old', () => {
    for (let pid = 1; pid <= deathsAllowed + 1; pid++) {
      expect(start(pid).begin()).to.equal('')
      die(pid)
      now += 1000
    }
    expect(start(4).begin()).to.equal('3 workers died with it within 10 minutes')
    now += 1000
    expect(start(5).begin()).to.match(/3 workers died/)
    now += rememberedMs - 5000
    expect(start(6).begin()).to.match(/3 workers died/)
    now += 5000
    expect(start(7).begin()).to.equal('')
  })

  it('are none where a worker ends by itself, or lives on beside its successor', () => {
    for (let pid = 1; pid < 10; pid++) {
      const worker = start(pid)
      expect(worker.begin()).to.equal('')
      // The next one begins while this one still drains.
      const next = start(pid + 1)
      expect(next.begin()).to.equal('')
      worker.end()
      next.end()
      expect(existsSync(file)).to.equal(false)
    }
  })

  it('do not become more where workers after them end by themselves or do without', () => {
    start(1).begin()
    die(1)
    for (let pid = 2; pid < 10; pid++) {
      const worker = start(pid)
      expect(worker.begin()).to.equal('')
      worker.end()
      die(pid)
    }
    now += rememberedMs
    for (let pid = 11; pid <= 13; pid++) {
      start(pid).begin()
      die(pid)
    }
    now += 1000
    for (let pid = 14; pid < 20; pid++) expect(start(pid).begin()).to.match(/3 workers died/)
    now += rememberedMs - 1000
    expect(start(20).begin()).to.equal('')
  })

  it('are seen though the number of the process was given out anew', () => {
    start(1).begin()
    running.set(1, 99)
    start(2).begin()
    die(2)
    start(3).begin()
    die(3)
    expect(start(4).begin()).to.match(/3 workers died/)
  })

  it('cost nothing where the file says nonsense, cannot be written, or the clock was set back', () => {
    for (const text of ['', '{', 'null', '[]', '{"pid":"x"}', '{"pid":1,"start":2,"deaths":["a",null]}']) {
      writeFileSync(file, text)
      running.clear()
      expect(start(7).begin(), text).to.equal('')
    }
    writeFileSync(file, JSON.stringify({ pid: 0, start: 0, deaths: [now + 1, now + 2, now + 3] }))
    expect(start(8).begin()).to.equal('')
    file = join(folder, 'gone', 'deaths.json')
    expect(start(9).begin()).to.equal('')
    start(9).end()
  })

  it('are told apart by when a process was started', () => {
    expect(startOfProcess(process.pid)).to.be.greaterThan(0)
    expect(startOfProcess(0)).to.equal(undefined)
  })
})
