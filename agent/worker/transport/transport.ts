/**
 * A transport carries bytes between a socket and the owner of a connection, and knows the peer. Three implementations,
 * one of them per process: `epoll/` (our own sockets, system calls without a wrapper), `raw-handle.ts` (Node's own
 * handles, no stream layer) and `public-socket.ts` (public API). `select-transports.ts` chooses.
 */
import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { FastCalls } from '../../../native/fast-calls.ts'
import type { Output } from './output.ts'

/**
 * Who gets the events of a transport. No method is called from inside a call into the transport, but `onBytes` may be
 * called several times in one turn. After `onClosed`, or after the owner called `close`, `reset` or `release`, nothing
 * more is called.
 */
export interface TransportOwner {
  /** `bytes[0..length)` is valid until the method returns: consume it or copy it. */
  onBytes(bytes: Buffer, length: number): void
  /**
   * After `awaitReadable`: bytes, the end or an error wait in the kernel. Called again and again until they are taken.
   */
  onReadable?(): void
  /** The peer sent FIN. Writing is still possible. */
  onEnd(): void
  /** Everything that was written is in the kernel's send buffer again. */
  onDrained(): void
  /**
   * The connection broke (reset, time-out of the kernel). `reason` is the system's name of the error, `ECONNRESET`. The
   * transport is closed already.
   */
  onClosed(reason: string): void
}

/** Owner of a transport that nobody owns yet. */
export const nobody: TransportOwner = { onBytes() {}, onEnd() {}, onDrained() {}, onClosed() {} }

/** One read takes at most this much: what libuv itself asks for. */
export const readBufferBytes = 65_536

/** What became of bytes that were written to a connection which has ended. */
export const Fate = {
  /** The peer may have read them, or nobody can tell. */
  mayBeRead: 0,
  /** Nobody has read any of them, and nobody will. */
  unread: 1,
  /** The peer's FIN came and acknowledged none of them: an idle connection that was closed, or a peer who reads on. */
  unacknowledged: 2,
} as const
export type Fate = (typeof Fate)[keyof typeof Fate]

export interface Transport {
  owner: TransportOwner
  /**
   * Of the socket, for options, questions and copies; -1 once closed, or where the implementation cannot tell. Bytes go
   * through it only where `spliceDescriptor` says so.
   */
  readonly descriptor: number
  /**
   * Where the kernel may put bytes in and take bytes out past this process. -1: every byte must pass through `write`
   * and `onBytes`, because the transport changes it (TLS) or cannot tell its socket. What moves bulk has to ask, at
   * both ends.
   */
  readonly spliceDescriptor: number
  /** Whether `detach` may be called: the socket and what the transport knows of it can go on in another process. */
  readonly isMovable: boolean
  readonly isClosed: boolean
  /** Bytes that the kernel has not taken yet; 0 = the next write starts at once. */
  readonly pendingBytes: number

  resumeReading(): void
  /**
   * No `onBytes` or `onEnd` after this until `resumeReading`. Nothing is lost: what is not read stays in the kernel.
   */
  pauseReading(): void
  /**
   * Sends what `output` holds and empties it. true = the kernel took everything; false = `onDrained` follows, and the
   * caller stops its source meanwhile. A broken connection also answers false; `onClosed` follows in a later turn.
   */
  write(output: Output): boolean
  /**
   * While on, nothing is read: the owner's `onReadable` is called instead, and takes what is there from `descriptor`,
   * or switches this off again. Only from inside `onBytes` or `onReadable`. An implementation that cannot goes on with
   * `onBytes`.
   */
  awaitReadable(isOn: boolean): void
  /**
   * Sends the first `length` bytes of memory that is the caller's own; when the answer is false, it must stay as it is
   * until `onDrained`.
   */
  writeFrom(memory: Buffer, length: number): boolean
  /**
   * What became of the last `sent` bytes, asked from within `onEnd` or `onClosed`. `unread`: none of them left this
   * host, the kernel refused the write or never got them. Nothing else proves it: a FIN may be that of a peer who reads
   * on, and what a reset acknowledges is lost with it.
   */
  fateOf(sent: number): Fate
  /** Whether the peer's FIN or reset has come, although reading is paused; false where nobody can tell. */
  readonly hasPeerEnded: boolean
  /** Half-close after everything that was written. */
  end(): void
  /** Orderly close: what the kernel holds is still delivered. Idempotent. */
  close(): void
  /** Close with RST, so that the peer sees an error. Idempotent. */
  reset(): void
  /**
   * Gives the socket up like `release`, and tells what the receiver of a copy of `descriptor` needs to go on. Only
   * while `isMovable`, and after the copy was made. Reading has stopped: what has not been handed to the owner stays in
   * the kernel, or is in `state`.
   */
  detach(): DetachedTransport
  /** Gives the socket up without FIN as long as another descriptor refers to it. Idempotent. */
  release(): void

  setKeepAlive(delayMs: number): void
  /** That of `peer()`, without asking the kernel for addresses. */
  readonly identity: PeerIdentity
  peer(): TransportPeer
}

export interface TransportPeer {
  readonly address: string
  readonly port: number
  readonly localAddress: string
  readonly localPort: number
  /** Who the peer proved to be to this transport. A plain socket proves nothing. */
  readonly identity: PeerIdentity
}

export const noIdentity: PeerIdentity = { kind: 'none' }

export interface DetachedTransport {
  /** What was written and is not in the kernel's send buffer yet, in order; a copy. */
  readonly unsent: Buffer
  /** null: the descriptor is everything, as with a plain socket. */
  readonly state: TransportState | null
}

/**
 * What a transport knows of a connection beside its socket, as plain data. It stays between processes of one host, on
 * their own sockets, and is never logged or written down.
 */
export interface TransportState {
  /** Which transport can go on with it. */
  readonly kind: string
  readonly body: unknown
}

/** A listening socket. `descriptor` may be copied while it lives. */
export interface TransportListener {
  readonly descriptor: number
  readonly port: number
  readonly address: string
  /**
   * Closes our copy and stops accepting; connections in the queue stay there when another process holds the socket too.
   */
  close(): void
}

export interface ListenOptions {
  readonly address: string
  /** 0 = any free port. */
  readonly port: number
  readonly backlog: number
  /** SO_REUSEPORT: several processes bind the same address, the kernel spreads connections over them. */
  readonly reusePort: boolean
}

/** Answers of a dial: `transport` on success, else the system's name of the error. */
export type DialCallback = (transport: Transport | null, reason: string) => void

export interface Dial {
  /** Forgets the dial; its callback is not called. */
  cancel(): void
}

/** From the fastest to the most public: `epoll/` (sockets of our own), `raw-handle.ts`, `public-socket.ts`. */
export type TransportKind = 'epoll' | 'raw' | 'public'

export interface Transports {
  readonly kind: TransportKind
  /** What its sockets are served with, for what else works on them (bulk); absent: calls with their wrapper. */
  readonly calls?: FastCalls
  /** Rejects with an Error with `code` (`EADDRINUSE`, `EACCES`, …). The transport given to `onAccept` is paused. */
  listen(options: ListenOptions, onAccept: (transport: Transport) => void): Promise<TransportListener>
  /**
   * Accepts on a socket that another process made, with this backlog from now on, whatever it had. From here on the
   * descriptor belongs to the listener, also on failure.
   */
  listenOn(descriptor: number, backlog: number, onAccept: (transport: Transport) => void): Promise<TransportListener>
  /**
   * `address` is an IP literal. The callback comes in a later turn; the transport is paused, with TCP_NODELAY set. No
   * time-out of its own.
   */
  dial(address: string, port: number, callback: DialCallback): Dial
  /**
   * A connected socket of another process, paused; `state` is what its transport knew there. Throws for a descriptor or
   * a state that cannot be used.
   */
  open(descriptor: number, state: TransportState | null): Transport
}

/** For transports without state of their own. */
export function refuseState(state: TransportState | null): void {
  if (state !== null) throw new Error(`no transport here goes on with ${String(state.kind)}`)
}
