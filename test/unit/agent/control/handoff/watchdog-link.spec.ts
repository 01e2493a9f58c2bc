import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { connectWatchdog } from '../../../../../agent/control/handoff/watchdog-link.ts'
import type { WatchdogLink, WatchdogLinkDeps } from '../../../../../agent/control/handoff/watchdog-link.ts'
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

  async function connect(isAlone = false, tries?: number): Promise<boolean[]> {
    const led: boolean[] = []
    const deps: WatchdogLinkDeps = {
      runDir,
      generation: 1,
      isAlone,
      log: () => undefined,
      onLead: (isSupervised) => led.push(isSupervised),
      onRetire: () => undefined,
      onState: () => undefined,
      onStop: () => undefined,
    }
    link = await connectWatchdog(deps, tries)
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

  it('leads alone where there is none and it was started alone', async () => {
    expect(await connect(true)).to.deep.equal([false])
    expect(link).to.include({ isSupervised: false, isLeading: true })
  })

  it('does not lead where its watchdog does not come back, but ends', async () => {
    const refusal: unknown = await connect(false, 2).catch((error: unknown) => error)
    expect(refusal).to.include({ code: 'E_HANDOFF_TIMEOUT' })
  })
})
