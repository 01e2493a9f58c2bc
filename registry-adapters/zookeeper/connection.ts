/**
 * One connection to one ZooKeeper server: opens or resumes a session, sends requests, hands replies back in the order
 * of the requests, tells of watch events, and sees a server that has gone silent. Every request ends: with its reply,
 * or with the connection.
 */
import { connect as connectPlain } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'
import type { Clock } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import { Frames } from './frames.ts'
import { RecordReader, RecordWriter } from './records.ts'
import { Code, Op, Xid, ZooKeeperRefusal } from './words.ts'

export interface SessionId {
  readonly id: bigint
  readonly password: Buffer
  /** What the server granted, ms. */
  readonly timeoutMs: number
}

/** Asks for a new session. */
export const noSession: SessionId = { id: 0n, password: Buffer.alloc(16), timeoutMs: 0 }

export interface ConnectionOptionsOfServer {
  readonly host: string
  readonly port: number
  readonly tls: ConnectionOptions | undefined
  readonly session: SessionId
  /** Newest transaction that was seen; a server that is behind it refuses us. */
  readonly lastZxid: bigint
  readonly sessionTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly auth: string | undefined
  readonly clock: Clock
}

export interface ConnectionOwner {
  onOpen(session: SessionId): void
  /** The server does not know the session any more; the connection closes. */
  onExpired(): void
  onEvent(type: number, path: string): void
  /** It answers, whatever; now and then. */
  onAlive(): void
  /** Once, whatever ended it. */
  onClosed(reason: MeshError): void
}

/** Answers of a directory with 10,000 providers fit several times; larger ones are refused one by one. */
const maxReplyBytes = 16 * 1024 * 1024
/** Requests that wait for their reply; more is a bug of ours or a server that answers nothing. */
const maxPending = 20_000
/** The oldest request is answered within this time, however much is said meanwhile, or the server is given up, ms. */
const answerMs = 30_000
/** Between two pings, and two looks at the oldest request, ms: a quarter of the session, within these bounds. */
const pingMs = { least: 50, most: 10_000 } as const
/** What a server may grant, ms: with less nothing can be said in time, with more its silence would not be seen. */
const grantable = { least: 100, most: 600_000 } as const
/** Of a session; ZooKeeper's has 16. */
const maxPasswordBytes = 1024

interface Pending {
  readonly xid: number
  readonly what: string
  resolve(reader: RecordReader): void
  reject(error: MeshError): void
}

export class ZooKeeperConnection {
  readonly server: string
  private readonly options: ConnectionOptionsOfServer
  private readonly owner: ConnectionOwner
  private readonly socket: Socket
  private readonly frames: Frames
  private readonly pending: Pending[] = []
  private xid = 0
  private zxid: bigint
  private isOpen = false
  private isClosed = false
  private heardAt = 0
  /** Since when the oldest request is the oldest. */
  private askedAt = 0
  private cancelSilence: (() => void) | undefined
  private cancelPing: (() => void) | undefined

  constructor(options: ConnectionOptionsOfServer, owner: ConnectionOwner) {
    const { host, port, tls } = options
    this.server = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    this.options = options
    this.owner = owner
    this.zxid = options.lastZxid
    this.frames = new Frames(maxReplyBytes, {
      onFrame: (frame) => this.read(frame),
      onOversize: (head, length) => this.tooLong(head, length),
      onNonsense: (length) => this.protocol(`a frame of ${length} bytes`),
    })
    this.socket = tls === undefined ? connectPlain({ host, port }) : connectTls({ ...tls, host, port })
    this.socket.setNoDelay(true)
    this.socket.on(tls === undefined ? 'connect' : 'secureConnect', () => this.greet())
    this.socket.on('data', (bytes: Buffer) => {
      if (this.isClosed) return
      this.heardAt = this.options.clock.monotonic()
      this.frames.feed(bytes)
    })
    this.socket.on('error', (cause) =>
      this.close(new MeshError('E_REGISTRY_UNREACHABLE', `${this.server}: ${cause.message}`)),
    )
    this.socket.on('close', () =>
      this.close(new MeshError('E_REGISTRY_UNREACHABLE', `${this.server}: closed by the server`)),
    )
    this.awaitWord(options.connectTimeoutMs)
  }

  /** Newest transaction that this server told of. */
  get lastZxid(): bigint {
    return this.zxid
  }

  /** Sends one request; resolves with the reader behind the reply's head. */
  request(type: number, what: string, body: (writer: RecordWriter) => void): Promise<RecordReader> {
    return new Promise((resolve, reject) => {
      if (this.isClosed || !this.isOpen)
        return reject(new MeshError('E_REGISTRY_UNREACHABLE', `${this.server}: ${what}: no session`))
      if (this.pending.length >= maxPending)
        return reject(
          new MeshError('E_REGISTRY_TIMEOUT', `${this.server}: ${what}: ${maxPending} requests wait for their reply`),
        )
      this.xid = (this.xid % 0x7fff_ffff) + 1
      const writer = new RecordWriter().int(this.xid).int(type)
      body(writer)
      if (this.pending.length === 0) this.askedAt = this.options.clock.monotonic()
      this.pending.push({ xid: this.xid, what, resolve, reject })
      this.socket.write(writer.frame())
    })
  }

  /** Ends the session at the server: what lives with it is removed at once. */
  async endSession(): Promise<void> {
    await this.request(Op.closeSession, 'close the session', () => undefined).catch(() => undefined)
    this.destroy()
  }

  /** Leaves the session to its time-out. */
  destroy(): void {
    this.close(new MeshError('E_REGISTRY_UNREACHABLE', `${this.server}: closed by us`))
  }

  private greet(): void {
    const { session, sessionTimeoutMs, lastZxid, auth } = this.options
    const greeting = new RecordWriter().int(0).long(lastZxid).int(sessionTimeoutMs).long(session.id)
    this.socket.write(greeting.bytes(session.password).bool(false).frame())
    if (auth === undefined) return
    const words = new RecordWriter().int(Xid.auth).int(Op.auth).int(0).text('digest').bytes(Buffer.from(auth))
    this.socket.write(words.frame())
  }

  private read(frame: Buffer): void {
    if (this.isClosed) return
    try {
      const reader = new RecordReader(frame)
      if (this.isOpen) this.readReply(reader)
      else this.readGreeting(reader)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.protocol(error.message)
    }
  }

  private readGreeting(reader: RecordReader): void {
    reader.int()
    const timeoutMs = reader.int()
    const id = reader.long()
    const password = Buffer.from(reader.bytes())
    if (timeoutMs <= 0 || id === 0n) {
      this.owner.onExpired()
      this.close(new MeshError('E_REGISTRY_UNREACHABLE', `${this.server}: the session expired`))
      return
    }
    if (timeoutMs < grantable.least || timeoutMs > grantable.most || password.length > maxPasswordBytes)
      return this.protocol(`a session of ${timeoutMs} ms with a password of ${password.length} bytes`)
    this.isOpen = true
    // a third of the session is left to find another server
    this.awaitWord(Math.floor((timeoutMs * 2) / 3))
    const ping = new RecordWriter().int(Xid.ping).int(Op.ping).frame()
    this.keepPinging(ping, Math.min(Math.max(pingMs.least, Math.floor(timeoutMs / 4)), pingMs.most))
    this.owner.onOpen({ id, password, timeoutMs })
  }

  private readReply(reader: RecordReader): void {
    const xid = reader.int()
    const zxid = reader.long()
    const code = reader.int()
    if (zxid > this.zxid) this.zxid = zxid
    if (xid === Xid.ping) {
      this.owner.onAlive()
      return
    }
    if (xid === Xid.auth) {
      if (code !== Code.ok) this.close(new ZooKeeperRefusal(Code.authFailed, this.server))
      return
    }
    if (xid === Xid.notification) {
      const type = reader.int()
      reader.int()
      this.owner.onEvent(type, reader.text())
      return
    }
    const pending = this.next(xid)
    if (pending === undefined) return
    if (code === Code.ok) pending.resolve(reader)
    else pending.reject(new ZooKeeperRefusal(code, pending.what))
  }

  private tooLong(head: Buffer, length: number): void {
    if (this.isClosed) return
    const pending = this.next(head.readInt32BE(0))
    pending?.reject(
      new MeshError('E_REGISTRY_PROTOCOL', `${pending.what}: an answer of ${length} bytes, allowed ${maxReplyBytes}`),
    )
  }

  /** The request that this reply is for; replies come in the order of requests, anything else ends the connection. */
  private next(xid: number): Pending | undefined {
    const pending = this.pending.shift()
    if (pending?.xid === xid) {
      this.askedAt = this.options.clock.monotonic()
      return pending
    }
    if (pending !== undefined) this.pending.unshift(pending)
    this.protocol(`a reply to request ${xid}, expected ${pending?.xid ?? 'none'}`)
    return undefined
  }

  private protocol(what: string): void {
    this.close(new MeshError('E_REGISTRY_PROTOCOL', `${this.server}: ${what}`))
  }

  /** A server that says nothing for so long is taken for gone. Each byte that comes begins the time anew. */
  private awaitWord(ms: number): void {
    const { clock } = this.options
    this.cancelSilence?.()
    this.heardAt = clock.monotonic()
    const look = (): void => {
      const leftMs = this.heardAt + ms - clock.monotonic()
      if (leftMs > 0) this.cancelSilence = clock.after(leftMs, look)
      else this.close(new MeshError('E_REGISTRY_TIMEOUT', `${this.server}: no word for ${ms} ms`))
    }
    this.cancelSilence = clock.after(ms, look)
  }

  private keepPinging(ping: Buffer, everyMs: number): void {
    this.cancelPing = this.options.clock.after(everyMs, () => {
      const [oldest] = this.pending
      const waitedMs = this.options.clock.monotonic() - this.askedAt
      if (oldest !== undefined && waitedMs > answerMs)
        return this.close(
          new MeshError('E_REGISTRY_TIMEOUT', `${this.server}: ${oldest.what}: no answer in ${answerMs} ms`),
        )
      this.socket.write(ping)
      this.keepPinging(ping, everyMs)
    })
  }

  private close(reason: MeshError): void {
    if (this.isClosed) return
    this.isClosed = true
    this.cancelSilence?.()
    this.cancelPing?.()
    this.socket.destroy()
    for (const pending of this.pending.splice(0))
      pending.reject(new MeshError('E_REGISTRY_UNREACHABLE', `${pending.what}: ${reason.message}`, { cause: reason }))
    this.owner.onClosed(reason)
  }
}
