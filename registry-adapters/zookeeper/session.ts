/**
 * A session at a ZooKeeper ensemble, kept alive over servers that come and go. A session that was without a server for
 * as long as it lives is given up by our own clock, because in a partition nobody else would say so: what lives with it
 * must be written again.
 */
import type { ConnectionOptions } from 'node:tls'
import { describeError } from '../../contracts/errors.ts'
import type { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { noSession, ZooKeeperConnection } from './connection.ts'
import type { SessionId } from './connection.ts'

export interface ServerAddress {
  readonly host: string
  readonly port: number
}

export interface SessionOptions {
  readonly registry: string
  readonly servers: readonly ServerAddress[]
  readonly tls: () => ConnectionOptions | undefined
  /** `user:password` for the digest scheme, read anew for each connection. */
  readonly auth: () => string | undefined
  readonly sessionTimeoutMs: number
}

export interface SessionOwner {
  /** A server answers: in the same session, or in a new one where the earlier one is over. */
  onConnected(): void
  /** No server answers; told once per loss, after every server was tried. */
  onLost(problem: MeshError): void
  onEvent(type: number, path: string): void
  /** The server answers, whatever; now and then. */
  onAlive(): void
}

const maxConnectMs = 5000
const minRetryMs = 100
const maxRetryMs = 3000
/** A server that has answered for so long is a good one; before, it may be one that takes everybody and drops them. */
const calmMs = 5000

export class ZooKeeperSession {
  private readonly options: SessionOptions
  private readonly owner: SessionOwner
  private readonly deps: AdapterDeps
  private current: ZooKeeperConnection | undefined
  private session: SessionId = noSession
  private lastZxid = 0n
  private isOpen = false
  private isToldLost = false
  private lastProblem: MeshError | undefined
  /** Servers of the present round that were not tried yet. */
  private untried: ServerAddress[] = []
  private failures = 0
  private openedAt = 0
  private cancelConnect: (() => void) | undefined
  private cancelExpiry: (() => void) | undefined
  private isClosed = false
  /** Told when the first server answers, or none does. */
  private waiting: (() => void)[] = []

  constructor(options: SessionOptions, owner: SessionOwner, deps: AdapterDeps) {
    this.options = options
    this.owner = owner
    this.deps = deps
  }

  /** The connection with a living session, undefined while there is none. */
  get connection(): ZooKeeperConnection | undefined {
    return this.isOpen ? this.current : undefined
  }

  /** Id of the present session, 0 = none. */
  get id(): bigint {
    return this.session.id
  }

  get problem(): MeshError | undefined {
    return this.lastProblem
  }

  start(): void {
    this.connect()
  }

  /** Resolves when a server answers, or when it is known that none does. */
  async settled(): Promise<void> {
    if (this.isOpen || this.isToldLost || this.isClosed) return
    await new Promise<void>((resolve) => this.waiting.push(resolve))
  }

  /** `isFinal`: nothing lives with the session any more, so it ends at once; otherwise it ends by its time-out. */
  async close(isFinal: boolean): Promise<void> {
    this.isClosed = true
    this.cancelConnect?.()
    this.cancelExpiry?.()
    this.settle()
    if (isFinal && this.isOpen) await this.current?.endSession()
    else this.current?.destroy()
  }

  private connect(): void {
    if (this.isClosed) return
    if (this.untried.length === 0) this.untried = shuffled(this.options.servers, this.deps.random)
    const server = this.untried.pop()!
    const { sessionTimeoutMs } = this.options
    let isOver = false
    const zxidBefore = this.lastZxid
    const connection = new ZooKeeperConnection(
      {
        ...server,
        tls: this.options.tls(),
        auth: this.options.auth(),
        session: this.session,
        lastZxid: this.lastZxid,
        sessionTimeoutMs,
        clock: this.deps.clock,
        connectTimeoutMs: Math.min(maxConnectMs, Math.floor(sessionTimeoutMs / this.options.servers.length)),
      },
      {
        onOpen: (session) => this.opened(session),
        onExpired: () => this.expired('the server said so'),
        onEvent: (type, path) => this.owner.onEvent(type, path),
        onAlive: () => this.owner.onAlive(),
        onClosed: (reason) => {
          if (isOver) return
          isOver = true
          // the session may have ended meanwhile, and with it what was seen
          if (connection.lastZxid > zxidBefore) this.lastZxid = connection.lastZxid
          this.closed(reason)
        },
      },
    )
    this.current = connection
  }

  private opened(session: SessionId): void {
    this.cancelExpiry?.()
    const isNew = session.id !== this.session.id
    this.session = session
    this.isOpen = true
    this.isToldLost = false
    this.lastProblem = undefined
    this.openedAt = this.deps.clock.monotonic()
    this.untried = []
    this.deps.log.info(
      { registry: this.options.registry, server: this.current?.server, timeoutMs: session.timeoutMs },
      isNew ? 'a session at ZooKeeper has begun' : 'the session at ZooKeeper goes on at another connection',
    )
    this.owner.onConnected()
    this.settle()
  }

  private closed(reason: MeshError): void {
    if (this.isClosed) return
    if (this.isOpen) {
      this.isOpen = false
      if (this.deps.clock.monotonic() - this.openedAt >= calmMs) this.failures = 0
      const { timeoutMs } = this.session
      this.cancelExpiry = this.deps.clock.after(timeoutMs, () => this.expired(`no server for ${timeoutMs} ms`))
    }
    this.lastProblem = reason
    this.failures++
    this.deps.metrics.count('registry_connection_failures', { registry: this.options.registry })
    if (this.untried.length === 0 && this.failures >= this.options.servers.length) this.tellLost(reason)
    // every server once, then a pause
    const rounds = Math.floor(this.failures / this.options.servers.length)
    const pauseMs = this.untried.length > 0 ? 0 : Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(rounds, 8))
    const { clock, random } = this.deps
    this.cancelConnect = clock.after(pauseMs * (0.5 + 0.5 * random()), () => this.connect())
  }

  private tellLost(reason: MeshError): void {
    if (this.isToldLost) return
    this.isToldLost = true
    this.deps.log.warn(
      { registry: this.options.registry, code: reason.code },
      `no ZooKeeper server answers: ${describeError(reason)}; trying on`,
    )
    this.owner.onLost(reason)
    this.settle()
  }

  private settle(): void {
    for (const go of this.waiting.splice(0)) go()
  }

  private expired(why: string): void {
    if (this.session.id === 0n) return
    this.session = noSession
    // an ensemble that was made anew, or a server that lied, would keep us out for ever: whoever has seen more than
    // a server knows is refused there
    this.lastZxid = 0n
    this.deps.metrics.count('registry_sessions_expired', { registry: this.options.registry })
    this.deps.log.warn(
      { registry: this.options.registry },
      `the session at ZooKeeper has expired (${why}); applications are registered again in a new one`,
    )
  }
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const copy = [...list]
  for (let index = copy.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1))
    ;[copy[index], copy[other]] = [copy[other]!, copy[index]!]
  }
  return copy
}
