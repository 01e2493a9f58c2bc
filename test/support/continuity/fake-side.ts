import type { DescriptorCopies, Detached, LiveConnections, Movable } from '../../../agent/worker/listen/movable.ts'
import type { Native } from '../../../native/descriptors.ts'

/** Connections of one side: descriptors are copies of standard error, states are names. */
export class Side implements LiveConnections {
  readonly live = new Map<number, FakeConnection>()
  readonly adopted: string[] = []
  readonly imported: [string, unknown][] = []
  readonly refuses: Set<string>
  arriving = 0
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

  takeActive(): Movable[] {
    return this.list().filter((connection) => connection.takeActivity())
  }

  listPooled(): Movable[] {
    return []
  }

  listCohorts(): Movable[] {
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

export class FakeConnection implements Movable {
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

  /** Busy all the time. */
  takeActivity(): boolean {
    return true
  }

  get isIdle(): boolean {
    return this.protocol === 'http1' && this.isReady
  }

  /** As a real one: once, and also when it is ready already. */
  whenReady(callback: ((connection: Movable) => void) | null): void {
    this.callback = callback
    if (callback !== null && this.isReady) queueMicrotask(() => this.tell())
  }

  /** Somebody waits for it: as a real one, it would not begin its next request. */
  get isAwaited(): boolean {
    return this.callback !== null
  }

  becomeReady(): void {
    this.isReady = true
    this.tell()
  }

  /** Its caller was faster than whoever wanted to move it. */
  becomeBusy(): void {
    this.isReady = false
  }

  private tell(): void {
    const { callback } = this
    this.callback = null
    callback?.(this)
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    if (!this.isReady) return undefined
    this.side.live.delete(this.id)
    return { state: { name: this.name, protocol: this.protocol } as never, descriptors: [copies.duplicate(2)] }
  }

  drain(): void {
    this.isDraining = true
  }

  abort(): void {
    this.side.live.delete(this.id)
  }
}
