import { expect } from 'chai'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Drain } from '../../../../../agent/worker/handoff/drain.ts'
import type { HandoffDeps } from '../../../../../agent/worker/handoff/index.ts'
import { Takeover } from '../../../../../agent/worker/handoff/takeover.ts'
import type { Detached, LiveConnections, Movable } from '../../../../../agent/worker/listen/movable.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import type { DescriptorPort, Native } from '../../../../../native/descriptors.ts'

/** Connections of one side: descriptors are copies of standard error, states are names. */
class Side implements LiveConnections {
  readonly live = new Map<number, FakeConnection>()
  readonly adopted: string[] = []
  readonly imported: [string, unknown][] = []
  readonly refuses: Set<string>
  onNew: ((connection: Movable) => void) | null = null
  private readonly native: Native
  private lastId = 0

  constructor(native: Native, refuses: readonly string[] = []) {
    this.native = native
    this.refuses = new Set(refuses)
  }

  get size(): number {
    return this.live.size
  }

  list(): Movable[] {
    return [...this.live.values()]
  }

  listPooled(): Movable[] {
    return []
  }

  add(name: string, protocol: 'http1' | 'tcp', isReady = true): FakeConnection {
    const connection = new FakeConnection(++this.lastId, name, protocol, isReady, this)
    this.live.set(connection.id, connection)
    return connection
  }

  adopt(state: unknown, descriptors: readonly number[]): Movable {
    const { name, protocol } = state as { name: string; protocol: 'http1' | 'tcp' }
    for (const descriptor of descriptors) this.native.close(descriptor)
    if (this.refuses.has(name)) throw new Error(`${name} is refused`)
    this.adopted.push(name)
    const connection = this.add(name, protocol)
    this.onNew?.(connection)
    return connection
  }
}

class FakeConnection implements Movable {
  readonly id: number
  readonly listener = 'service:orders'
  readonly name: string
  readonly protocol: 'http1' | 'tcp'
  isReady: boolean
  isDraining = false
  private readonly side: Side
  private callback: ((connection: Movable) => void) | null = null

  constructor(id: number, name: string, protocol: 'http1' | 'tcp', isReady: boolean, side: Side) {
    this.id = id
    this.name = name
    this.protocol = protocol
    this.isReady = isReady
    this.side = side
  }

  whenReady(callback: ((connection: Movable) => void) | null): void {
    this.callback = callback
  }

  becomeReady(): void {
    this.isReady = true
    this.callback?.(this)
  }

  detach(duplicate: (descriptor: number) => number): Detached | undefined {
    if (!this.isReady) return undefined
    this.side.live.delete(this.id)
    return { state: { name: this.name, protocol: this.protocol } as never, descriptors: [duplicate(2)] }
  }

  drain(): void {
    this.isDraining = true
  }

  abort(): void {
    this.side.live.delete(this.id)
  }
}

describe('draining a worker', () => {
  let runDir: string
  let native: Native
  let ports: DescriptorPort[]
  let takeover: Takeover | undefined

  beforeEach(() => {
    runDir = mkdtempSync(join(tmpdir(), 'hm-drain-'))
    native = loadNative().native!
    ports = []
  })

  afterEach(() => {
    takeover?.close()
    takeover = undefined
    for (const port of ports) port.close()
    rmSync(runDir, { recursive: true, force: true })
  })

  function depsOf(side: Side, generation: number, state: Readonly<Record<string, unknown>> = {}): HandoffDeps {
    return {
      runDir,
      generation,
      index: 0,
      now: () => performance.now(),
      log: () => {},
      connections: side,
      exportState: () => state,
      importState: (part, body) => {
        side.imported.push([part, body])
      },
      onCover: () => {},
      onUncover: () => {},
      stopAccepting: () => {},
      onEnd: () => {},
    }
  }

  function portOf(generation: number): DescriptorPort {
    const port = native.openPort(join(runDir, `worker-${generation}-0.fds`))
    ports.push(port)
    return port
  }

  async function successor(side: Side): Promise<void> {
    takeover = new Takeover(depsOf(side, 2), native, portOf(2))
    await takeover.listen()
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
    setTimeout(() => busy.becomeReady(), 100)
    const outcome = await running
    expect(next.adopted).to.deep.equal(['busy'])
    expect(outcome.durationMs).to.be.within(90, 2000)
  })

  it('tells its state before the first connection, and also when there is none', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    await successor(next)
    await drain(old, 5000, true, { counters: { requests: 7 }, big: 'x'.repeat(3_000_000) }).run()
    expect(next.imported.map(([part]) => part)).to.deep.equal(['counters', 'big'])
    expect(next.imported[0]![1]).to.deep.equal({ requests: 7 })
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
    await new Promise((resolve) => setTimeout(resolve, 300))
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

  it('with a successor that speaks another version everything stays and drains', async () => {
    const [old, next] = [new Side(native), new Side(native)]
    const { frameStream } = await import('../../../../../native/frame-stream.ts')
    const net = await import('node:net')
    const server = net.createServer((socket) => {
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
