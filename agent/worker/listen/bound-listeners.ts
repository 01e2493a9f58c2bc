import { lstatSync, unlinkSync } from 'node:fs'

import type { ListenerDump, ListenerProblem } from '../../../contracts/control-link.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { acceptBacklog } from '../../../contracts/handoff.ts'
import { takesDatagrams } from '../../../contracts/snapshot.ts'
import type { ListenerSpec } from '../../../contracts/snapshot.ts'
import { setAccess } from '../../../native/unix-sockets.ts'
import type { UnixSockets } from '../../../native/unix-sockets.ts'
import type { Transport, TransportListener, Transports } from '../transport/transport.ts'
import type { ConnectionCount } from './acceptor.ts'
import { isSocketPath, knowLocalPeer } from './local-socket.ts'
import { listenerContext } from './listener-context.ts'
import type { ListenerContext } from './listener-context.ts'
import { PortOwnerTable, portOwners } from './port-owner.ts'
import type { PortOwner } from './port-owner.ts'

/** A listener whose address was taken is tried again this often. */
const retryMs = 5000

export interface BoundListenersDeps {
  readonly transports: Transports
  readonly onAccept: (transport: Transport, bound: BoundListener) => void
  /** Whether other workers of this host bind the same ports (SO_REUSEPORT). */
  readonly isShared: boolean
  /** For listeners that take datagrams. */
  readonly datagrams: DatagramPorts
  /** For listeners at a path; undefined where the system's calls are missing. */
  readonly unixSockets: UnixSockets | undefined
  /** One worker of a generation listens at paths, for a path cannot be shared as a port can. */
  readonly listensAtPaths: boolean
  /** Whether a process is one of ours, so that its share of a port is no conflict. */
  readonly isOurs: (owner: PortOwner) => boolean
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
  /** A socket was bound here (not inherited): the watchdog gets a copy. */
  readonly onBound: (bound: BoundListener) => void
  /** A listener left the configuration. */
  readonly onRemoved: (name: string, address: string, port: number) => void
  /** What had failed was tried again. */
  readonly onRetried?: (() => void) | undefined
}

/** Errors are thrown with `code`. */
export interface DatagramPorts {
  /** Throws where somebody else has the address. */
  probe(address: string, port: number): void
  listen(name: string, address: string, port: number, sharesPort: boolean): TransportListener
  /** From here on the descriptor is the listener's, also on failure. */
  listenOn(name: string, descriptor: number): TransportListener
  /** Nothing is taken any more, and sessions go on. */
  rest(): void
}

/** A socket that another process listened on. */
export interface InheritedSocket {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly descriptor: number
  /** A UDP socket. */
  readonly takesDatagrams: boolean
}

/** Of a listener at which another worker listens. */
const noSocket: TransportListener = { descriptor: -1, port: 0, address: '', close() {} }

/** A listener of the snapshot and its socket. */
export class BoundListener {
  readonly spec: ListenerSpec
  readonly context: ListenerContext
  readonly socket: TransportListener
  /** Goes on when the rest of the specification changes. */
  readonly count: ConnectionCount

  constructor(spec: ListenerSpec, socket: TransportListener, count: ConnectionCount = { connections: 0 }) {
    this.spec = spec
    this.socket = socket
    this.count = count
    this.context = listenerContext(spec, socket.port)
  }
}

/**
 * The listening sockets of the worker, as the snapshot names them. A conflict degrades that one listener, names the
 * owner, and is tried again every 5 s. A listener whose address stays is kept when anything else about it changes; its
 * next connections see the change.
 */
export class BoundListeners {
  private readonly deps: BoundListenersDeps
  private readonly owners = new PortOwnerTable(() => performance.now())
  private readonly bound = new Map<string, BoundListener>()
  /** At paths where another worker listens: their connections may be given to this one. */
  private readonly elsewhere = new Map<string, BoundListener>()
  /** Closed here, with connections that are left. */
  private readonly former = new Map<string, BoundListener>()
  private readonly failed = new Map<string, { readonly spec: ListenerSpec; readonly error: MeshError }>()
  /** Sockets of other processes, to be used before anything is bound. */
  private readonly inherited = new Map<string, InheritedSocket>()
  /** Closed by a drain: bound again when it is taken back, and not before, whatever the snapshot says. */
  private readonly drained = new Map<string, ListenerSpec>()
  private work: Promise<void> = Promise.resolve()
  private retryTimer: NodeJS.Timeout | undefined
  private isStopped = false
  /** Grows with each listener that came, changed or left. */
  revision = 0

  constructor(deps: BoundListenersDeps) {
    this.deps = deps
  }

  /**
   * A socket that this worker's predecessor listened on. Whatever is not used by `apply` is left to the caller's
   * `dropInherited`.
   */
  inherit(name: string, address: string, port: number, descriptor: number, takesThem = false): void {
    this.inherited.set(name, { name, address, port, descriptor, takesDatagrams: takesThem })
  }

  /** Those that no listener wanted; the caller closes them. */
  dropInherited(): InheritedSocket[] {
    const left = [...this.inherited.values()]
    this.inherited.clear()
    return left
  }

  /** Binds, keeps and closes; one change after another. Never rejects: what fails is in `problems()`. */
  apply(changes: ReadonlyMap<string, ListenerSpec | null>): Promise<void> {
    this.work = this.work.then(async () => {
      for (const [name, spec] of changes) await this.take(name, spec)
      this.retryLater()
    })
    return this.work
  }

  /** Resolves when everything asked so far is bound or has failed. */
  settled(): Promise<void> {
    return this.work
  }

  problems(): ListenerProblem[] {
    return [...this.failed].map(([listener, { error }]) => ({ listener, code: error.code, message: error.message }))
  }

  /** A connection came in on the socket of this listener, ours or that of a neighbour. */
  arrive(name: string, transport: Transport): void {
    const bound = this.bound.get(name) ?? this.elsewhere.get(name)
    if (bound === undefined) {
      transport.close()
      return
    }
    if (isSocketPath(bound.spec.address)) knowLocalPeer(transport, this.deps.unixSockets)
    this.deps.onAccept(transport, bound)
  }

  get(name: string): BoundListener | undefined {
    return this.bound.get(name)
  }

  /** Also one that accepts no more: its connections go on, and may come back from a worker that did not take them. */
  find(name: string): BoundListener | undefined {
    return this.bound.get(name) ?? this.elsewhere.get(name) ?? this.former.get(name)
  }

  list(): Iterable<BoundListener> {
    return this.bound.values()
  }

  dump(): ListenerDump[] {
    const listening = [...this.bound.values()].map(({ count, socket, spec }): ListenerDump => ({
      name: spec.name,
      address: spec.address,
      port: socket.port,
      kind: spec.kind,
      state: 'listening',
      problem: undefined,
      connections: count.connections,
    }))
    const failed = [...this.failed.values()].map(({ error, spec }): ListenerDump => ({
      name: spec.name,
      address: spec.address,
      port: spec.port,
      kind: spec.kind,
      state: 'failed',
      problem: `${error.code}  ${error.message}`,
      connections: 0,
    }))
    return [...listening, ...failed]
  }

  /** Closes our copies of some until `reopen`; connections stay. Answers their names. */
  closeThose(which: (bound: BoundListener) => boolean): string[] {
    const closed = [...this.bound.values()].filter(which)
    for (const bound of closed) {
      const { socket, spec } = bound
      socket.close()
      this.bound.delete(spec.name)
      this.remember(bound)
      this.drained.set(spec.name, spec)
      this.deps.onRemoved(spec.name, spec.address, socket.port)
    }
    return closed.map(({ spec }) => spec.name)
  }

  /** Takes `closeThose` back. */
  reopen(): Promise<void> {
    const specs = new Map(this.drained)
    this.drained.clear()
    return this.apply(specs)
  }

  /** Closes our copies; connections stay. */
  stop(): void {
    this.isStopped = true
    clearTimeout(this.retryTimer)
    this.deps.datagrams.rest()
    for (const bound of this.bound.values()) {
      // the sessions of its callers answer through it
      if (!takesDatagrams(bound.spec)) bound.socket.close()
      this.remember(bound)
    }
    this.bound.clear()
    this.failed.clear()
  }

  /** As long as it has connections. */
  private remember(bound: BoundListener): void {
    for (const [name, { count }] of this.former) if (count.connections === 0) this.former.delete(name)
    this.former.set(bound.spec.name, bound)
  }

  private async take(name: string, spec: ListenerSpec | null): Promise<void> {
    if (this.isStopped) return
    this.revision++
    const former = this.bound.get(name)
    this.failed.delete(name)
    if (this.drained.has(name)) {
      if (spec === null) this.drained.delete(name)
      else this.drained.set(name, spec)
      return
    }
    if (former !== undefined) {
      const isSame =
        spec !== null &&
        former.spec.address === spec.address &&
        former.spec.port === spec.port &&
        takesDatagrams(former.spec) === takesDatagrams(spec)
      if (isSame && this.keep(name, former, spec)) return
      former.socket.close()
      this.bound.delete(name)
      this.remember(former)
      this.deps.onRemoved(name, former.spec.address, former.socket.port)
    }
    if (former !== undefined && isSocketPath(former.spec.address)) removeFile(former.spec.address)
    this.elsewhere.delete(name)
    if (spec === null) return
    if (this.deps.listensAtPaths || !isSocketPath(spec.address)) await this.bind(name, spec)
    else this.elsewhere.set(name, new BoundListener(spec, noSocket))
  }

  /**
   * The socket goes on under a new specification, or under the former one where the new access cannot be given. False:
   * its file is gone, so that nobody could connect.
   */
  private keep(name: string, { count, socket }: BoundListener, spec: ListenerSpec): boolean {
    try {
      if (spec.access !== undefined) setAccess(spec.address, spec.access)
      this.bound.set(name, new BoundListener(spec, socket, count))
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
      this.fail(name, spec, cause)
    }
    return true
  }

  private fail(name: string, spec: ListenerSpec, cause: unknown): void {
    const error = this.explain(spec, cause as NodeJS.ErrnoException)
    this.failed.set(name, { spec, error })
    this.deps.log('error', `${error.code}  ${error.message}`)
  }

  private async bind(name: string, spec: ListenerSpec): Promise<void> {
    try {
      const inherited = this.inherited.get(name)
      const isFit =
        inherited !== undefined &&
        inherited.address === spec.address &&
        (spec.port === 0 || inherited.port === spec.port) &&
        inherited.takesDatagrams === takesDatagrams(spec)
      const onAccept = (transport: Transport): void => this.arrive(name, transport)
      let socket: TransportListener
      if (isFit) {
        this.inherited.delete(name)
        socket = takesDatagrams(spec)
          ? this.deps.datagrams.listenOn(name, inherited.descriptor)
          : await this.deps.transports.listenOn(inherited.descriptor, acceptBacklog, onAccept)
      } else {
        socket = await this.bindNew(spec, onAccept)
      }
      if (this.isStopped) {
        socket.close()
        return
      }
      const bound = new BoundListener(spec, socket)
      this.bound.set(name, bound)
      this.revision++
      if (!isFit) this.deps.onBound(bound)
      // the process before may have known another one
      else if (spec.access !== undefined) setAccess(spec.address, spec.access)
    } catch (cause) {
      this.fail(name, spec, cause)
    }
  }

  /**
   * Shared ports are tried without SO_REUSEPORT first: with it, two programs of one user would silently split the
   * traffic of a port between them.
   */
  private async bindNew(spec: ListenerSpec, onAccept: (transport: Transport) => void): Promise<TransportListener> {
    const { datagrams, isShared, transports } = this.deps
    const { address, port } = spec
    const isUdp = takesDatagrams(spec)
    if (isSocketPath(address)) {
      const descriptor = this.socketsAt(address).listener(address, spec.access ?? { mode: 0o600 }, acceptBacklog)
      return transports.listenOn(descriptor, acceptBacklog, onAccept)
    }
    if (isShared && port !== 0) {
      try {
        if (isUdp) datagrams.probe(address, port)
        else {
          const test = await transports.listen({ address, port, backlog: 1, reusePort: false }, (transport) =>
            transport.close(),
          )
          test.close()
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
        const owners = this.owners.find(address, port, isUdp)
        if (owners.length === 0 || !owners.every((owner) => this.deps.isOurs(owner))) throw error
      }
    }
    if (isUdp) return datagrams.listen(spec.name, address, port, isShared)
    return transports.listen({ address, port, backlog: acceptBacklog, reusePort: isShared }, onAccept)
  }

  private socketsAt(path: string): UnixSockets {
    const { unixSockets } = this.deps
    if (unixSockets === undefined) throw new Error(`${path}: this system has no calls for unix sockets`)
    return unixSockets
  }

  private explain(spec: ListenerSpec, cause: NodeJS.ErrnoException): MeshError {
    const isPath = isSocketPath(spec.address)
    const where = `${isPath ? spec.address : `${spec.address}:${spec.port}`} (listener ${spec.name})`
    const rest = 'the other listeners are not touched, and it is tried again every 5 s'
    if (cause.code === 'EADDRINUSE' && isPath)
      return new MeshError('E_LISTEN_IN_USE', `${where}: ${cause.message}; ${rest}`, { cause })
    if (cause.code === 'EADDRINUSE') {
      const owners = portOwners(spec.address, spec.port, takesDatagrams(spec)).filter(
        (owner) => !this.deps.isOurs(owner),
      )
      const who =
        owners.map((owner) => `pid ${owner.pid} (${owner.command})`).join(', ') || 'a process that /proc does not show'
      return new MeshError('E_LISTEN_IN_USE', `${where}: taken by ${who}; ${rest}`, { cause })
    }
    return new MeshError('E_LISTEN_DENIED', `${where}: ${cause.message}; ${rest}`, { cause })
  }

  private retryLater(): void {
    clearTimeout(this.retryTimer)
    if (this.failed.size === 0 || this.isStopped) return
    this.retryTimer = setTimeout(() => {
      const failed = new Map([...this.failed].map(([name, { spec }]) => [name, spec]))
      void this.apply(failed).then(() => this.deps.onRetried?.())
    }, retryMs)
    this.retryTimer.unref()
  }
}

/** Of a socket that nobody listens at any more; what somebody else put there stays. */
function removeFile(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path)
  } catch {
    // somebody removed it before
  }
}
