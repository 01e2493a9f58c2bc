import { expect } from 'chai'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Drain } from '../../../../../agent/worker/handoff/drain.ts'
import type { HandoffDeps } from '../../../../../agent/worker/handoff/handoff-deps.ts'
import { Takeover } from '../../../../../agent/worker/handoff/takeover.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import type { DescriptorPort, Native } from '../../../../../native/descriptors.ts'
import { frameStream } from '../../../../../native/frame-stream.ts'
import { Side } from '../../../../support/continuity/fake-side.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

describe('draining a worker', () => {
  let runDir: string
  let native: Native
  let ports: DescriptorPort[]
  let takeovers: Takeover[]
  /** How often somebody asked for the time: a drain asks once in each of its rounds. */
  let looks: number

  beforeEach(() => {
    runDir = mkdtempSync(join(tmpdir(), 'hm-drain-'))
    native = loadNative().native!
    ports = []
    takeovers = []
    looks = 0
  })

  afterEach(() => {
    for (const takeover of takeovers) takeover.close()
    for (const port of ports) port.close()
    rmSync(runDir, { recursive: true, force: true })
  })

  function depsOf(side: Side, generation: number, state: Readonly<Record<string, unknown>> = {}): HandoffDeps {
    return {
      runDir,
      generation,
      index: 0,
      now: () => {
        looks++
        return performance.now()
      },
      log: () => {},
      connections: side,
      exportState: () => state,
      exportRest: () => ({ rest: side.size }),
      signals: () => ({ requests: 0, failed: 0, durations: [] }),
      importState: (part, body) => {
        side.imported.push([part, body])
      },
      balanced: { givenConnections: 0, takenConnections: 0 },
      onCover: () => {},
      onUncover: () => {},
      stopAccepting: () => {},
      onEnd: () => {},
    }
  }

  /** Resolves when drains have gone through so many more rounds, all of them counted together. */
  async function rounds(count: number): Promise<void> {
    const wanted = looks + count
    await eventually(() => looks >= wanted)
  }

  function portOf(generation: number): DescriptorPort {
    const port = native.openPort(join(runDir, `worker-${generation}-0.fds`))
    ports.push(port)
    return port
  }

  async function successor(side: Side, generation = 2): Promise<Takeover> {
    const made = new Takeover(depsOf(side, generation), native, portOf(generation))
    takeovers.push(made)
    await made.listen()
    return made
  }

  function drain(side: Side, deadlineMs: number, hasSuccessor = true, state = {}): Drain {
    const order = { successor: hasSuccessor ? { generation: 2, index: 0 } : undefined, deadlineMs }
    return new Drain(depsOf(side, 1, state), native, portOf(1), order)
  }

  it('moves every connection that is ready, in batches, and counts it once', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    await successor(next)
    for (let index = 0; index < 500; index++) old.add(`c${index}`, index % 2 === 0 ? 'http1' : 'tcp')
    const outcome = await drain(old, 5000).run()
    expect(next.adopted).to.have.length(500)
    expect(new Set(next.adopted).size).to.equal(500)
    expect(outcome.counts).to.have.deep.members([
      { protocol: 'http1', application: 'service:orders', moved: 250, drained: 0, cut: 0 },
      { protocol: 'tcp', application: 'service:orders', moved: 250, drained: 0, cut: 0 },
    ])
  })

  it('moves a busy connection as soon as it is ready', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    await successor(next)
    const busy = old.add('busy', 'http1', false)
    const running = drain(old, 5000).run()
    await eventually(() => busy.isAwaited)
    await rounds(3)
    expect(next.adopted).to.deep.equal([])
    busy.becomeReady()
    const outcome = await running
    expect(next.adopted).to.deep.equal(['busy'])
    expect(outcome.durationMs).to.be.below(4000)
  })

  it('tells its state before the first connection, and also when there is none', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    await successor(next)
    await drain(old, 5000, true, { counters: { requests: 7 }, big: 'x'.repeat(3_000_000) }).run()
    expect(next.imported.map(([part]) => part)).to.deep.equal(['counters', 'big', 'rest'])
    expect(next.imported[0]![1]).to.deep.equal({ requests: 7 })
  })

  it('tells at the end what was counted while the last ones drained', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    await successor(next)
    const busy = old.add('busy', 'http1', false)
    const running = drain(old, 5000, true, { counters: 1 }).run()
    await eventually(() => next.imported.length === 1)
    busy.becomeReady()
    await running
    expect(next.imported).to.deep.equal([
      ['counters', 1],
      ['rest', 0],
    ])
  })

  it('keeps what the successor refuses, and lets it end by itself', async () => {
    const [old, next] = [new Side(native), new Side(native, ['odd'])]
    await successor(next)
    old.add('good', 'http1')
    old.add('odd', 'http1')
    const outcome = await drain(old, 400).run()
    expect(next.adopted).to.deep.equal(['good'])
    expect(old.adopted).to.deep.equal(['odd'])
    expect(outcome.counts).to.deep.equal([
      { protocol: 'http1', application: 'service:orders', moved: 1, drained: 1, cut: 0 },
    ])
  })

  it('waits for a successor that is not there yet, and moves nothing twice', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    old.add('a', 'tcp')
    const running = drain(old, 5000).run()
    await rounds(5)
    await successor(next)
    expect((await running).counts[0]).to.include({ moved: 1, cut: 0 })
    expect(next.adopted).to.deep.equal(['a'])
  })

  it('without a successor closes idle HTTP connections after a grace, and cuts streams at the deadline', async () => {
    const old = new Side(native)
    const idle = old.add('idle', 'http1')
    old.add('stream', 'tcp')
    old.add('busy', 'http1', false)
    const outcome = await drain(old, 900, false).run()
    expect(idle.isDraining).to.equal(true)
    expect(outcome.durationMs).to.be.within(850, 2500)
    expect(outcome.counts).to.have.deep.members([
      { protocol: 'http1', application: 'service:orders', moved: 0, drained: 1, cut: 1 },
      { protocol: 'tcp', application: 'service:orders', moved: 0, drained: 0, cut: 1 },
    ])
    expect(old.size).to.equal(0)
  })

  it('a connection that was between two requests before the successor answered is moved at its next pause', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    const caller = old.add('caller', 'http1', false)
    const running = drain(old, 20_000).run()
    // Its answer ends and its next request begins while nobody can take it yet.
    caller.becomeReady()
    caller.becomeBusy()
    await successor(next)
    await eventually(() => caller.isAwaited)
    // Its next pause lasts one turn, and the one after that is too short.
    caller.becomeReady()
    caller.becomeBusy()
    await eventually(() => caller.isAwaited)
    caller.becomeReady()
    expect((await running).counts).to.deep.equal([
      { protocol: 'http1', application: 'service:orders', moved: 1, drained: 0, cut: 0 },
    ])
    expect(next.adopted).to.deep.equal(['caller'])
  })

  it('while no successor takes them, connections go on here and are not held back for it', async () => {
    const old = new Side(native)
    const caller = old.add('caller', 'http1')
    const running = drain(old, 400).run()
    await new Promise((resolve) => setImmediate(resolve))
    expect(caller.isAwaited).to.equal(false)
    await running
  })

  it('dials again when a successor that took the call does not answer in time', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    old.add('caller', 'http1')
    const path = join(runDir, 'worker-2-0.sock')
    const dials: Socket[] = []
    const silent = createServer((socket) => dials.push(socket))
    await new Promise<void>((resolve) => silent.listen(path, resolve))
    const running = drain(old, 20_000).run()
    await eventually(() => dials.length > 0)
    silent.close()
    await successor(next)
    expect((await running).counts[0]).to.include({ moved: 1, cut: 0 })
    for (const socket of dials) socket.destroy()
  })

  it('a second order sends what is left to the next successor, and what comes from a predecessor goes there too', async () => {
    const [oldest, old, next] = [new Side(native), new Side(native), new Side(native)]
    const takeover = await successor(old, 2)
    await successor(next, 3)
    const busy = oldest.add('busy', 'http1', false)
    old.add('idle', 'http1')
    const first = drain(oldest, 20_000)
    const firstRun = first.run()
    await eventually(() => takeover.size === 1)
    const order = { successor: { generation: 3, index: 0 }, deadlineMs: 20_000 }
    const second = new Drain(depsOf(old, 2), native, ports[0], order, takeover)
    const secondRun = second.run()
    await eventually(() => next.adopted.includes('idle'))
    // Without the order the one in the middle has to stay for it.
    let isGone = false
    void secondRun.then(() => (isGone = true))
    await rounds(8)
    expect(isGone).to.equal(false)
    first.redirect({ generation: 3, index: 0 })
    await secondRun
    busy.becomeReady()
    await firstRun
    expect(next.adopted).to.deep.equal(['idle', 'busy'])
    expect(old.adopted).to.deep.equal([])
  })

  it('takes nothing from a predecessor any more once it has decided to leave', async () => {
    const [oldest, old] = [new Side(native), new Side(native)]
    const takeover = await successor(old, 2)
    const order = { successor: undefined, deadlineMs: 5000 }
    await new Drain(depsOf(old, 2), native, ports[0], order, takeover).run()
    oldest.add('late', 'http1')
    const outcome = await drain(oldest, 400).run()
    expect(old.adopted).to.deep.equal([])
    expect(outcome.counts).to.deep.equal([
      { protocol: 'http1', application: 'service:orders', moved: 0, drained: 1, cut: 0 },
    ])
  })

  it('waits for connections that are still arriving, and counts as cut what has not arrived at the deadline', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    await successor(next)
    old.arriving = 1
    const running = drain(old, 5000).run()
    await eventually(() => old.onNew !== null)
    await rounds(3)
    old.arriving = 0
    old.onNew!(old.add('arrived', 'tcp'))
    expect((await running).counts).to.deep.equal([
      { protocol: 'tcp', application: 'service:orders', moved: 1, drained: 0, cut: 0 },
    ])
    old.arriving = 2
    for (const port of ports.splice(0)) port.close()
    const late = await drain(old, 100).run()
    expect(late.counts).to.deep.equal([{ protocol: 'arriving', application: '', moved: 0, drained: 0, cut: 2 }])
  })

  it('before the deadline callers are told to close, so that they are not cut in a request', async () => {
    const old = new Side(native)
    const caller = old.add('caller', 'http1', false)
    let now = 0
    const order = { successor: { generation: 2, index: 0 }, deadlineMs: 60_000 }
    const clock = (): number => {
      looks++
      return now
    }
    const running = new Drain({ ...depsOf(old, 1), now: clock }, native, portOf(1), order).run()
    now = 58_900
    await rounds(3)
    expect(caller.isDraining).to.equal(false)
    now = 59_100
    await eventually(() => caller.isDraining)
    old.live.delete(caller.id)
    expect((await running).counts[0]).to.include({ drained: 1, cut: 0 })
  })

  it('with a successor that speaks another version everything stays and drains', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    const server = createServer((socket) => {
      const stream = frameStream(socket, 1024, native, {
        onMessage: () => stream?.send({ type: 'refused', code: 'E_HANDOFF_VERSION', message: 'other version' }),
        onClose: () => {},
      })
    })
    await new Promise<void>((resolve) => server.listen(join(runDir, 'worker-2-0.sock'), resolve))
    const idle = old.add('idle', 'http1')
    const outcome = await drain(old, 2000).run()
    expect(next.adopted).to.deep.equal([])
    expect(idle.isDraining).to.equal(true)
    expect(outcome.counts[0]).to.include({ moved: 0, drained: 1, cut: 0 })
    server.close()
  })
})
