/**
 * The taking side of a move: state and live connections from a predecessor that drains, connections from a busier
 * neighbour of the same generation.
 */
import { unlinkSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { handoffVersion, maxHandoffFrameBytes } from '../../../contracts/handoff.ts'
import type { PredecessorToSuccessor } from '../../../contracts/handoff.ts'
import { describeError } from '../../../contracts/errors.ts'
import { runFiles } from '../../../contracts/run-directory.ts'
import type { DescriptorPort, Native } from '../../../native/descriptors.ts'
import { frameStream } from '../../../native/frame-stream.ts'
import type { FrameStream } from '../../../native/frame-stream.ts'
import type { HandoffDeps } from './handoff-deps.ts'

/** Predecessors at the same time: fewer workers than before means several for one successor. */
const maxPredecessors = 64

export class Takeover {
  private readonly deps: HandoffDeps
  private readonly native: Native | undefined
  private readonly port: DescriptorPort
  private readonly path: string
  private readonly server: net.Server
  private readonly streams = new Set<FrameStream>()
  /** Those of `streams` whose other end is a neighbour: nobody waits for it. */
  private readonly neighbours = new Set<FrameStream>()
  private refusesNeighbours = false

  constructor(deps: HandoffDeps, native: Native | undefined, port: DescriptorPort) {
    this.deps = deps
    this.native = native
    this.port = port
    this.path = join(deps.runDir, runFiles.workerTakeover(deps.generation, deps.index))
    this.server = net.createServer((socket) => this.accept(socket))
    this.server.maxConnections = maxPredecessors
  }

  async listen(): Promise<void> {
    try {
      unlinkSync(this.path)
    } catch {
      // There was none.
    }
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(this.path, () => {
        this.server.removeListener('error', reject)
        resolve()
      })
    })
    this.server.on('error', (error) => this.deps.log('error', `takeover socket: ${error.message}`))
  }

  /** Predecessors that have something to give, or may. */
  get size(): number {
    return this.streams.size - this.neighbours.size
  }

  /** This worker drains: what a neighbour sends stays with it. */
  refuseNeighbours(): void {
    this.refusesNeighbours = true
  }

  /** From here on nothing is adopted: what a predecessor has on its way stays with it. */
  close(): void {
    for (const stream of this.streams) stream.close()
    this.streams.clear()
    this.neighbours.clear()
    this.server.close()
  }

  private accept(socket: net.Socket): void {
    let predecessor: { readonly pid: number } | undefined
    /** Of the item that comes next. */
    const ahead: number[] = []
    const stream = frameStream(socket, maxHandoffFrameBytes, this.native, {
      onMessage: (raw) => {
        const message = raw as unknown as PredecessorToSuccessor
        if (message.type === 'hello') {
          predecessor = { pid: stream?.peerPid ?? message.pid }
          if (message.isNeighbour === true || message.generation === this.deps.generation) this.neighbours.add(stream!)
          this.greet(stream!, message.link)
          return
        }
        if (predecessor === undefined) return
        if (message.type === 'ahead') {
          ahead.push(...(this.port.take(predecessor.pid, message.batch) ?? []))
          stream!.send({ type: 'taken', batch: message.batch, refused: [] })
        }
        if (message.type === 'state') this.importState(message.part, message.body)
        if (message.type === 'connections') {
          const isNeighbour = this.neighbours.has(stream!)
          const { batch, items } = message
          const descriptors = [...ahead.splice(0), ...(this.port.take(predecessor.pid, batch) ?? [])]
          const refused = this.adopt(descriptors, items, isNeighbour && this.refusesNeighbours)
          if (isNeighbour) this.deps.balanced.takenConnections += items.length - refused.length
          stream!.send({ type: 'taken', batch, refused })
        }
      },
      onClose: () => {
        for (const descriptor of ahead.splice(0)) this.native?.close(descriptor)
        if (stream === undefined) return
        this.streams.delete(stream)
        this.neighbours.delete(stream)
      },
    })
    if (stream !== undefined) this.streams.add(stream)
  }

  private greet(stream: FrameStream, link: number): void {
    if (link === handoffVersion) {
      stream.send({ type: 'welcome', link: handoffVersion, takesAhead: true })
      return
    }
    const message = `handoff version ${link}, this worker speaks ${handoffVersion}; keep and drain your connections`
    stream.send({ type: 'refused', code: 'E_HANDOFF_VERSION', message })
    stream.end()
  }

  private importState(part: string, body: unknown): void {
    try {
      this.deps.importState(part, body)
    } catch (error) {
      this.deps.log(
        'warn',
        `state ${part} of the predecessor was not understood and is dropped: ${describeError(error)}`,
      )
    }
  }

  /** Answers the positions that the predecessor keeps. */
  private adopt(
    descriptors: readonly number[],
    items: readonly { readonly state: unknown; readonly descriptors: number }[],
    isRefused: boolean,
  ): number[] {
    const wanted = items.reduce((sum, item) => sum + item.descriptors, 0)
    if (descriptors.length !== wanted || isRefused) {
      for (const descriptor of descriptors) this.native?.close(descriptor)
      return items.map((_, position) => position)
    }
    const refused: number[] = []
    let at = 0
    items.forEach((item, position) => {
      const own = descriptors.slice(at, at + item.descriptors)
      at += item.descriptors
      try {
        this.deps.connections.adopt(item.state, own)
      } catch (error) {
        refused.push(position)
        this.deps.log('warn', `a moved connection was refused and stays with its worker: ${describeError(error)}`)
      }
    })
    return refused
  }
}
