import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { readEndpointFile } from '../../../../registry-adapters/file/endpoint-file.ts'
import { readEndpoints } from '../../../../registry-adapters/file/endpoint-file-reader.ts'
import { createFileAdapter } from '../../../../registry-adapters/file/index.ts'
import { eventually, recordedDeps, recordingListener } from '../../../support/registry-listener.ts'

const crowd = (count: number, extra = ''): string =>
  `service: crowd\nendpoints:\n${Array.from(
    { length: count },
    (_, n) => `  - { address: 10.0.${n >> 8}.${n & 255}, port: 80, weight: 2, metadata: { team: a } }\n`,
  ).join('')}${extra}`
const fileOf = (source: string) => ({ name: 'crowd.yaml', source, allowLoopback: false })
const { signal } = new AbortController()

describe('a long endpoint file, read in a thread of its own', function () {
  this.timeout(60_000)
  let folder: string
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hm-crowd-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is what it is when it is read here: endpoints and problems', async () => {
    const wrong = '  - { address: nowhere, port: 80 }\n'
    for (const source of [crowd(2), crowd(700), crowd(700, wrong), crowd(700, ' }\n'), crowd(10_001)]) {
      const { name, allowLoopback } = fileOf(source)
      expect(await readEndpoints(fileOf(source), signal)).to.deep.equal(readEndpointFile(name, source, allowLoopback))
    }
  })

  it('does not hold up the loop, and its service is served', async () => {
    const source = crowd(6000)
    const began = performance.now()
    readEndpointFile('crowd.yaml', source, false)
    const here = performance.now() - began
    writeFileSync(join(folder, 'crowd.yaml'), source)
    const adapter = createFileAdapter({ name: 'files', directory: folder, allowLoopback: false }, recordedDeps())
    const listener = recordingListener()
    let [last, longest] = [performance.now(), 0]
    const look = setInterval(() => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
    }, 1)
    adapter.start()
    adapter.subscribe({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'crowd' }, listener)
    await eventually(() => listener.sets.some((set) => set.endpoints.length === 6000), 'all endpoints', 30_000)
    clearInterval(look)
    await adapter.close()
    expect(longest, `of ${here} ms in one go`).to.be.lessThan(here / 2)
  })

  it('needs no more memory than the thread may have, as large as the bounds allow', async () => {
    const metadata = Array.from({ length: 18 }, (_, n) => `k${n}: v`).join(', ')
    const line = (n: number): string =>
      `- { address: 10.1.${n >> 8}.${n & 255}, port: 80, metadata: { ${metadata} } }\n`
    const source = `service: crowd\nendpoints:\n${Array.from({ length: 10_000 }, (_, n) => line(n)).join('')}`
    const result = await readEndpoints(fileOf(source), signal)
    expect(result.ok ? result.file.endpoints.length : result.problems).to.equal(10_000)
  })

  for (const [how, script, message] of [
    ['does not end', 'for (;;) ;', /^not read after 300 ms/],
    ['needs too much memory', 'const all = []; for (;;) all.push(new Array(10_000).fill(all))', /memory/],
    ['ends early', 'process.exit(0)', /its thread ended with 0/],
  ] as const)
    it(`says so when its thread ${how}`, async () => {
      const entry = join(folder, 'thread.cjs')
      writeFileSync(entry, script)
      const deadlineMs = how === 'does not end' ? 300 : 10_000
      const failure = await readEndpoints(fileOf(crowd(700)), signal, { entry, deadlineMs, memoryMb: 32 }).then(
        () => undefined,
        (error: Error) => error,
      )
      expect(failure?.message).to.match(message)
    })

  it('keeps the last good content when nothing is known about it, says so once, and is not read again and again', async () => {
    const deps = recordedDeps()
    let reads = 0
    const config = { name: 'files', directory: folder, allowLoopback: false, pollMs: 20 }
    const adapter = createFileAdapter(config, deps, async (file, until) => {
      reads++
      if (file.source.length > 1000) throw new Error('not read after 60000 ms')
      return readEndpoints(file, until)
    })
    const path = join(folder, 'crowd.yaml')
    writeFileSync(path, crowd(1))
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'crowd' }, listener)
    await listener.untilIds(['10.0.0.0:80'])
    writeFileSync(path, crowd(700))
    await eventually(() => adapter.status().problem !== undefined, 'a problem in the status')
    expect(adapter.status().problem?.message).to.include('crowd.yaml: cannot be read: not read after 60000 ms')
    const [heardAt, before] = [adapter.status().lastHeardAt, reads]
    await eventually(() => adapter.status().lastHeardAt > heardAt + 100, 'some more looks')
    expect(reads).to.equal(before)
    expect(listener.sets.at(-1)?.endpoints).to.have.length(1)
    expect(deps.lines.filter((line) => line.startsWith('warn'))).to.have.length(1)
    writeFileSync(path, crowd(2))
    await listener.untilIds(['10.0.0.0:80', '10.0.0.1:80'])
    await adapter.close()
  })

  it('ends its thread when its registry is closed', async () => {
    const entry = join(folder, 'thread.cjs')
    writeFileSync(entry, 'for (;;) ;')
    writeFileSync(join(folder, 'crowd.yaml'), crowd(700))
    const deps = recordedDeps()
    let isReading = false
    const config = { name: 'files', directory: folder, allowLoopback: false }
    const adapter = createFileAdapter(config, deps, (file, until) => {
      isReading = true
      return readEndpoints(file, until, { entry, deadlineMs: 50_000, memoryMb: 64 })
    })
    adapter.start()
    await eventually(() => isReading, 'the file is read')
    const began = performance.now()
    await adapter.close()
    expect(performance.now() - began).to.be.lessThan(10_000)
    expect(deps.lines).to.deep.equal([])
  })
})
