import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { connectWatchdog } from '../../../../../agent/control/handoff/watchdog-link.ts'
import type { WatchdogLink } from '../../../../../agent/control/handoff/watchdog-link.ts'
import { encodeFrame } from '../../../../../contracts/frame.ts'
import { handoffVersion } from '../../../../../contracts/handoff.ts'
import { runFiles } from '../../../../../contracts/run-directory.ts'

describe('the link of control to its watchdog', () => {
  let runDir: string
  let server: Server | undefined
  let link: WatchdogLink | undefined

  beforeEach(() => {
    runDir = mkdtempSync(join(tmpdir(), 'hostmesh-link-'))
  })
  afterEach(async () => {
    link?.close()
    link = undefined
    if (server !== undefined) await new Promise((resolve) => server!.close(resolve))
    server = undefined
    rmSync(runDir, { recursive: true, force: true })
  })

  async function connect(): Promise<boolean[]> {
    const led: boolean[] = []
    link = await connectWatchdog({
      runDir,
      generation: 1,
      log: () => undefined,
      onLead: (isSupervised) => led.push(isSupervised),
      onRetire: () => undefined,
      onState: () => undefined,
      onStop: () => undefined,
    })
    return led
  }

  it('knows that there is a watchdog when that says at once who leads, as to a control that comes back', async () => {
    server = createServer((socket: Socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => {
        const words = [{ type: 'welcome', link: handoffVersion }, { type: 'lead' }]
        socket.write(Buffer.concat(words.map((word) => encodeFrame(word))))
      })
    })
    await once(server.listen(join(runDir, runFiles.watchdog)), 'listening')
    const led = await connect()
    expect(led).to.deep.equal([true])
    expect(link).to.include({ isSupervised: true, isLeading: true })
  })

  it('leads alone where there is none', async () => {
    expect(await connect()).to.deep.equal([false])
    expect(link).to.include({ isSupervised: false, isLeading: true })
  })
})
