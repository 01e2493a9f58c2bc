/** The watchdog's stream socket: children say hello and then talk; operators ask. Who is neither is cut off. */
import { chmodSync, unlinkSync } from 'node:fs'
import net from 'node:net'
import { handoffVersion, maxHandoffFrameBytes } from '../../contracts/handoff.ts'
import type { ChildToWatchdog, OperatorReply, OperatorRequest } from '../../contracts/handoff.ts'
import type { ErrorCode } from '../../contracts/errors.ts'
import type { Native } from '../../native/descriptors.ts'
import { frameStream } from '../../native/frame-stream.ts'
import type { FrameStream } from '../../native/frame-stream.ts'
import type { Log } from '../log.ts'
import type { Child } from '../supervise/child.ts'
import type { Generation } from '../supervise/generation.ts'
import type { ProcessTree } from '../supervise/tree.ts'

/** Streams at the same time: 256 workers of three generations, and operators. */
const maxStreams = 1024
const helloTimeoutMs = 5000

export interface WatchdogSocketDeps {
  readonly native: Native
  readonly tree: ProcessTree
  readonly log: Log
  onChild(generation: Generation, child: Child, hello: Extract<ChildToWatchdog, { type: 'hello' }>): void
  onChildMessage(generation: Generation, child: Child, message: ChildToWatchdog): void
  /** The stream of a child is gone; the process may still be there. */
  onChildLost(child: Child): void
  onOperator(request: OperatorRequest, reply: (answer: OperatorReply) => void): void
}

type Hello = Extract<ChildToWatchdog, { type: 'hello' }>
type Peer =
  | { readonly kind: 'new' | 'operator' }
  | { readonly kind: 'child'; readonly generation: Generation; readonly child: Child }
type Incoming = ChildToWatchdog | OperatorRequest

export class WatchdogSocket {
  private readonly deps: WatchdogSocketDeps
  private readonly server: net.Server
  private readonly streams = new Set<FrameStream>()

  constructor(deps: WatchdogSocketDeps) {
    this.deps = deps
    this.server = net.createServer((socket) => this.accept(socket))
    this.server.maxConnections = maxStreams
  }

  /** The caller holds the lock of the run directory, so an old file at `path` is nobody's. */
  open(path: string): Promise<void> {
    try {
      unlinkSync(path)
    } catch {
      // There was none.
    }
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(path, () => {
        this.server.removeListener('error', reject)
        this.server.on('error', (error) => this.deps.log('error', `${path}: ${error.message}`))
        chmodSync(path, 0o600)
        resolve()
      })
    })
  }

  close(): void {
    for (const stream of this.streams) stream.close()
    this.streams.clear()
    this.server.close()
  }

  private accept(socket: net.Socket): void {
    let peer: Peer = { kind: 'new' }
    const timer = setTimeout(() => {
      if (peer.kind === 'new') leave()
    }, helloTimeoutMs)
    const leave = (): void => {
      clearTimeout(timer)
      stream?.close()
      if (stream !== undefined) this.streams.delete(stream)
    }
    const refuse = (code: ErrorCode, message: string): void => {
      stream?.send({ type: 'refused', code, message })
      stream?.end()
    }
    const stream = frameStream(socket, maxHandoffFrameBytes, this.deps.native, {
      onMessage: (raw) => {
        const message = raw as unknown as Incoming
        if (peer.kind === 'child') {
          this.deps.onChildMessage(peer.generation, peer.child, message as ChildToWatchdog)
        } else if (peer.kind === 'operator') {
          this.deps.onOperator(message as OperatorRequest, (answer) => stream?.send(answer))
        } else if (message.type === 'operator' || message.type === 'hello') {
          clearTimeout(timer)
          const link: number = message.link
          if (link !== handoffVersion) {
            refuse('E_HANDOFF_VERSION', `handoff version ${link}, this watchdog speaks ${handoffVersion}`)
          } else if (message.type === 'operator') {
            peer = { kind: 'operator' }
            stream?.send({ type: 'welcome', link: handoffVersion })
          } else {
            const known = this.recognize(message, stream?.peerPid)
            if (typeof known === 'string') {
              refuse('E_HANDOFF_REFUSED', known)
              return
            }
            peer = { kind: 'child', ...known }
            known.child.stream?.close()
            known.child.stream = stream
            this.deps.onChild(known.generation, known.child, message)
          }
        } else {
          leave()
        }
      },
      onClose: () => {
        clearTimeout(timer)
        if (stream !== undefined) this.streams.delete(stream)
        if (peer.kind === 'child' && peer.child.stream === stream) {
          peer.child.stream = undefined
          this.deps.onChildLost(peer.child)
        }
      },
    })
    if (stream !== undefined) this.streams.add(stream)
  }

  private recognize(hello: Hello, peerPid: number | undefined): { generation: Generation; child: Child } | string {
    const who = `${hello.role} ${hello.index} of generation ${hello.generation} (pid ${peerPid ?? hello.pid})`
    const generation = this.deps.tree.find(hello.generation)
    if (generation === undefined) return `${who}: this watchdog runs no such generation; leave`
    const child = generation.child(hello.role, hello.index)
    if (child === undefined || child.isGone || child.pid !== (peerPid ?? hello.pid)) {
      return `${who}: that place is taken by pid ${child?.pid ?? 'none'}; leave`
    }
    return { generation, child }
  }
}
