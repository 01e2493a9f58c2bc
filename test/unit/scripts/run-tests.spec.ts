import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Run {
  readonly code: number | null
  readonly output: string
  readonly lastLine: string | undefined
}

describe('the test runner', function () {
  this.timeout(60_000)
  let folder: string

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-runner-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  let serial = 0
  /** Runs each text as a spec file of its own. */
  function run(texts: readonly string[], options: readonly string[] = [], ci = 'true'): Promise<Run> {
    const files = texts.map((text) => {
      const file = join(folder, `${++serial}.spec.ts`)
      writeFileSync(file, text)
      return file
    })
    // one pipe for both streams, as in a terminal: only so their order is known
    const words = [process.execPath, 'scripts/run-tests.ts', ...options, ...files]
    const child = spawn('/bin/sh', ['-c', 'exec "$@" 2>&1', 'sh', ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, CI: ci },
    })
    let output = ''
    child.stdout.on('data', (part: Buffer) => (output += part.toString()))
    return new Promise((resolve) =>
      child.once('close', (code) => resolve({ code, output, lastLine: output.trimEnd().split('\n').at(-1) })),
    )
  }

  it('adds up the suites in its last line and ends with 0 when nothing failed', async () => {
    const { code, lastLine } = await run(["it('a', () => {})", "it('b', () => {}); it('c', () => {})"])
    expect(lastLine).to.equal('3 passed, 0 failed, 0 skipped')
    expect(code).to.equal(0)
  })

  it('ends with 1 and names what failed when a test failed, and runs the other suites all the same', async () => {
    const { code, output, lastLine } = await run(["it('a', () => { throw new Error('no') })", "it('b', () => {})"])
    expect(lastLine).to.equal('1 passed, 1 failed, 0 skipped')
    expect(output).to.match(/^failed: \S+\.spec\.ts: a$/m)
    expect(code).to.equal(1)
  })

  it('takes a skipped test for a failure in CI only', async () => {
    const skipping = ["it('a', function () { this.skip() })"]
    const [inCi, elsewhere] = await Promise.all([run(skipping), run(skipping, [], '')])
    expect(inCi).to.include({ code: 1, lastLine: '0 passed, 0 failed, 1 skipped' })
    expect(inCi.output).to.include('in CI a skipped test is a failure')
    expect(elsewhere).to.include({ code: 0, lastLine: '0 passed, 0 failed, 1 skipped' })
  })

  it('ends with 1 when a suite is killed or ends itself before its last test', async () => {
    const [killed, ended] = await Promise.all([
      run(["it('a', () => process.kill(process.pid, 'SIGKILL'))"]),
      run(["it('a', () => process.exit(0))"]),
    ])
    expect(killed).to.include({ code: 1, lastLine: '0 passed, 0 failed, 0 skipped' })
    expect(killed.output).to.include('the test runner ended without a result (exit SIGKILL)')
    expect(ended).to.include({ code: 1, lastLine: '0 passed, 0 failed, 0 skipped' })
  })

  it('ends a suite that hangs when the time of the whole run is over, and names the test', async () => {
    const hanging =
      "describe('x', () => it('hangs', async function () { this.timeout(0); setInterval(() => {}, 99); await new Promise(() => {}) }))"
    const { code, output } = await run([hanging, "it('never begins', () => {})"], ['--limit-s', '12'])
    expect(code).to.equal(1)
    expect(output).to.include('still busy after 12 s of the whole run, ended; it was at: x hangs')
    expect(output).to.not.include('never begins')
  })

  it('ends a suite that holds something open after its last test, and says what', async () => {
    const { code, output } = await run(["it('a', () => { setInterval(() => {}, 1000) })"], ['--linger-s', '1'])
    expect(code).to.equal(1)
    expect(output).to.match(/the last test ended 1 s ago and this process did not: it holds .*Timeout/)
  })
})
