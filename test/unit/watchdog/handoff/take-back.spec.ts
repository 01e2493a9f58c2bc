import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { RestartReport, WatchdogToChild } from '../../../../contracts/handoff.ts'
import { Replacement } from '../../../../watchdog/handoff/replacement.ts'
import type { ReplacementDeps } from '../../../../watchdog/handoff/replacement.ts'
import type { Reports } from '../../../../watchdog/handoff/reports.ts'
import { Retirement } from '../../../../watchdog/handoff/retirement.ts'
import type { Relay } from '../../../../watchdog/relay/relay.ts'
import type { Child } from '../../../../watchdog/supervise/child.ts'
import { Generation } from '../../../../watchdog/supervise/generation.ts'
import type { GenerationDeps } from '../../../../watchdog/supervise/generation.ts'
import { ProcessTree } from '../../../../watchdog/supervise/tree.ts'
import { testOptions } from '../../../support/continuity/watchdog-options.ts'

const sleeper = ['/bin/sh', '-c', 'exec sleep 600', 'sleeper']
const release = { name: 'v2', control: sleeper, worker: sleeper, workers: 2 }

describe('a new generation that fails while it takes over', () => {
  const nothing = (): void => {}
  let runDir: string
  let self: Server
  let tree: ProcessTree
  let ordered: [worker: number, message: WatchdogToChild][]

  beforeEach(async () => {
    runDir = mkdtempSync(join(tmpdir(), 'hostmesh-replacement-'))
    self = createServer((socket) => socket.resume().end('HTTP/1.1 200 OK\r\n\r\n'))
    await once(self.listen(0, '127.0.0.1'), 'listening')
    tree = new ProcessTree()
    ordered = []
  })

  afterEach(async () => {
    for (const generation of tree.generations) generation.killAll('the test is over')
    await new Promise((resolve) => self.close(resolve))
    rmSync(runDir, { recursive: true, force: true })
  })

  function replace(deadlines = testOptions.deadlines): Promise<RestartReport> {
    const generation: GenerationDeps = {
      runDir,
      now: () => 0,
      restarts: testOptions.restarts,
      onChildEnd: nothing,
      onErrorText: nothing,
      onChange: nothing,
      onRecord: nothing,
    }
    tree.current = new Generation(1, release, 0, 'serving', generation)
    tree.lastNumber = 1
    const { bounds } = testOptions
    return new Replacement({
      tree,
      generation,
      deadlines,
      retirement: new Retirement({ tree, deadlines, bounds, log: nothing, onChange: nothing }),
      reports: { save: nothing } as unknown as Reports,
      relay: {} as Relay,
      log: nothing,
      now: () => 0,
      wallClock: () => 0,
      onServing: nothing,
      onGivenBack: nothing,
    } satisfies ReplacementDeps).replace('upgrade', release, 'gone')
  }

  function answer(child: Child, onMessage: (message: WatchdogToChild) => void): void {
    const { port } = self.address() as AddressInfo
    child.probe = { address: '127.0.0.1', port }
    child.isReady = true
    child.stream = {
      isOpen: true,
      peerPid: child.pid,
      send: (message) => onMessage(message as WatchdogToChild),
      end() {},
      close() {},
    }
  }

  it('has the whole drain deadline for what it took, when one of its workers never listens', async () => {
    const report = replace({ ...testOptions.deadlines, takeOverMs: 1 })
    const [first, second] = tree.next!.workers as [Child, Child]
    answer(tree.next!.control!, nothing)
    answer(first, (message) => {
      if (message.type === 'serve') first.isServing = true
      if (message.type !== 'drain') return
      ordered.push([0, message])
      first.kill('SIGTERM')
    })
    answer(second, (message) => {
      if (message.type !== 'drain') return
      ordered.push([1, message])
      second.kill('SIGTERM')
    })
    tree.next!.touch()
    expect(await report).to.include({ outcome: 'failed', cause: 'does not listen after 1 ms' })
    const { drainMs: deadlineMs } = testOptions.deadlines
    expect(ordered).to.deep.equal(
      [0, 1].map((index) => [index, { type: 'drain', successor: { generation: 1, index }, deadlineMs }]),
    )
    expect(first.killedFor).to.equal(undefined)
  })
})
