import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { HandoffDeps } from '../../../../../agent/worker/handoff/handoff-deps.ts'
import { connectWatchdog } from '../../../../../agent/worker/handoff/watchdog-link.ts'
import { encodeFrame } from '../../../../../contracts/frame.ts'
import { handoffVersion } from '../../../../../contracts/handoff.ts'
import { runFiles } from '../../../../../contracts/run-directory.ts'

describe('a worker whose watchdog has died before it could say hello', () => {
  let runDir: string
  let server: Server | undefined
  let deps: HandoffDeps

  beforeEach(() => {
    runDir = mkdtempSync(join(tmpdir(), 'hm-link-'))
    deps = { runDir, generation: 1, index: 0, log: () => {} } as unknown as HandoffDeps
  })

  afterEach(async () => {
    if (server !== undefined) await new Promise((resolve) => server!.close(resolve))
    server = undefined
    rmSync(runDir, { recursive: true, force: true })
  })

  it('joins the next one', async () => {
    const connecting = connectWatchdog(deps)
    server = createServer((socket: Socket) => {
      socket.on('error', () => {})
      const welcome = { type: 'welcome', link: handoffVersion, watchdogPid: process.pid, workers: 1 }
      socket.once('data', () => socket.write(encodeFrame({ ...welcome, batches: 0, wanted: [] })))
    })
    await once(server.listen(join(runDir, runFiles.watchdog)), 'listening')
    const link = await connecting
    expect(link.isSupervised).to.equal(true)
    link.close()
  })

  it('ends where none comes, and accepts nothing: the next one would start another in its place', async () => {
    const refusal: unknown = await connectWatchdog(deps, 2).catch((error: unknown) => error)
    expect(refusal).to.include({ code: 'E_HANDOFF_TIMEOUT' })
  })
})
