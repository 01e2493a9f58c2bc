import { expect } from 'chai'
import { mkdtempSync, rmSync } from 'node:fs'
import { type Server, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { wholeState } from '../../../../cli/commands/drill.ts'
import { encodeFrame } from '../../../../contracts/frame.ts'
import { runFiles } from '../../../../contracts/run-directory.ts'

const child = (role: string) => ({ role, index: 0, pid: 1, isReady: true, isServing: true })
const whole = {
  pid: 1,
  relay: { isRelaying: false },
  generations: [{ phase: 'serving', children: [child('control'), child('worker')] }],
}

describe('between two drills of a row', () => {
  let runDir: string
  let watchdog: Server | undefined
  const never = new AbortController().signal

  beforeEach(() => {
    runDir = mkdtempSync(join(tmpdir(), 'hm-run-'))
  })
  afterEach(() => {
    watchdog?.close()
    rmSync(runDir, { recursive: true, force: true })
  })

  /** Closes without a word so many times; then it says that all is well. */
  async function watchdogSilentFor(times: number): Promise<void> {
    let asked = 0
    watchdog = createServer((socket) => {
      if (asked++ < times) socket.destroy()
      else socket.end(encodeFrame({ type: 'state', state: whole }))
    })
    await new Promise<void>((resolve) => watchdog!.listen(join(runDir, runFiles.watchdog), resolve))
  }

  it('a watchdog that is just being replaced is waited for', async () => {
    await watchdogSilentFor(2)
    expect(await wholeState({ runDir }, never)).to.deep.equal(whole)
  })

  it('one that stays silent is said after a while', async () => {
    await watchdogSilentFor(1000)
    const said = await wholeState({ runDir }, never, 300).catch((error: Error) => error.message)
    expect(said).to.include('watchdog.sock: no ')
  })
})
