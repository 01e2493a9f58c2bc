import type { InboundMtls, ListenerSpec } from '../../../contracts/snapshot.ts'
import { rawTlsProtocols } from '../../../contracts/words.ts'
import type { LocalAnswer } from '../../../http1/local-reply.ts'
import { readClientHello } from '../transport/tls/client-hello.ts'
import type { HandshakesInUse } from '../transport/tls/open-tls.ts'
import type { TlsCounts } from '../transport/tls/tls-counts.ts'
import { handshakeTimeoutMs, headerBytes as recordHeader, maxSealedBytes } from '../transport/tls/words.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import { FirstBytes } from './first-bytes.ts'
import { RefusalReply } from './refusal-reply.ts'
import type { RefusalReplyDeps } from './refusal-reply.ts'

export interface TlsIntakeDeps extends RefusalReplyDeps {
  readonly handshakes: HandshakesInUse
  readonly counts: TlsCounts
}

/** The mutual TLS of a listener. */
export interface TlsDemand {
  readonly mode: InboundMtls
  /** SPIFFE id under which it answers; undefined = the host's own. */
  readonly identity: string | undefined
  /** Of ALPN. */
  readonly protocols: readonly string[]
  /** TLS that speaks none of `protocols` may be the application's own. */
  readonly mayBeForeign: boolean
  /** The caller may wait for the other side to speak first. */
  readonly mayBeSilent: boolean
  /** A plain caller understands an answer of HTTP. */
  readonly isHttp: boolean
}

/** undefined = the listener has none, or another step's. */
export type DemandOf = (spec: ListenerSpec) => TlsDemand | undefined

/**
 * So long a caller of a raw TCP application may be silent where plain bytes are allowed: behind it is taken for one
 * that waits for the application to speak first (a database's client), so it is plain.
 */
const silentCallerMs = 200
/** Beginning of a record of TLS: a handshake message, of any version that has this form. */
const handshakeRecord = 22
const majorVersion = 3
/** Private RPC comes as raw bytes do. */
const messageProtocols: readonly string[] = ['h2', 'http/1.1', ...rawTlsProtocols]
/** Records that wait for their rest, over all ports: beyond it the oldest gives its place. */
const maxWaiting = 4096

const plainAnswer: LocalAnswer = {
  status: 400,
  code: 'E_TLS_REQUIRED',
  fields: [['content-type', 'text/plain']],
  body: Buffer.from('E_TLS_REQUIRED  this port takes mutual TLS alone (PeerAuthentication STRICT)\n', 'latin1'),
}

/**
 * Mutual TLS of inbound ports, by the first bytes: TLS goes through a handshake, plain bytes go on as they are where
 * the port is PERMISSIVE, and are refused where it is STRICT. A raw TCP application may speak TLS itself: there only a
 * hello that offers a protocol of the mesh is the mesh's while the port is PERMISSIVE.
 */
export const inboundTls: DemandOf = (spec) => {
  if (spec.kind !== 'inbound' || spec.mtls === undefined) return undefined
  const isRaw = spec.protocol === 'tcp'
  const isRawAndOpen = isRaw && spec.mtls === 'permissive'
  return {
    mode: spec.mtls,
    identity: spec.identity,
    protocols: isRaw ? rawTlsProtocols : messageProtocols,
    mayBeForeign: isRawAndOpen,
    mayBeSilent: isRawAndOpen,
    isHttp: !isRaw,
  }
}

/**
 * Mutual TLS of a center's relay listener: in front of the PROXY header, so that nobody on the way reads or changes who
 * calls what. A host speaks first in either form.
 */
export const relayTls: DemandOf = (spec) =>
  spec.kind !== 'relay' || spec.mtls === undefined
    ? undefined
    : {
        mode: spec.mtls,
        identity: undefined,
        protocols: rawTlsProtocols,
        mayBeForeign: false,
        mayBeSilent: false,
        isHttp: false,
      }

/** Holds the first record of each connection where a listener demands or takes TLS. */
export class TlsIntake implements IntakeStep {
  private readonly deps: TlsIntakeDeps
  private readonly demandOf: DemandOf
  /** In the order of their arrival. */
  private readonly waiting = new Set<FirstRecord>()

  constructor(deps: TlsIntakeDeps, demandOf: DemandOf) {
    this.deps = deps
    this.demandOf = demandOf
  }

  begin(arriving: Arriving, next: NextStep): void {
    const demand = this.demandOf(arriving.spec)
    if (demand === undefined) next(arriving)
    else new FirstRecord(this.deps, this.waiting, arriving, demand, next).enter()
  }
}

/** Waits for one whole record of TLS, or for proof that there is none. */
class FirstRecord extends FirstBytes {
  private readonly deps: TlsIntakeDeps
  private readonly waiting: Set<FirstRecord>
  private readonly demand: TlsDemand
  private readonly next: NextStep

  constructor(deps: TlsIntakeDeps, waiting: Set<FirstRecord>, arriving: Arriving, demand: TlsDemand, next: NextStep) {
    super(deps, arriving)
    this.deps = deps
    this.waiting = waiting
    this.demand = demand
    this.next = next
  }

  enter(): void {
    const { demand, waiting } = this
    if (waiting.size >= maxWaiting) {
      const [oldest] = waiting
      oldest?.crowd()
    }
    waiting.add(this)
    this.begin(demand.mayBeSilent ? silentCallerMs : handshakeTimeoutMs)
  }

  /** Gives its place to a newer one. */
  crowd(): void {
    this.refused('crowded')
    this.end()
  }

  onTimer(): void {
    if (this.received.length === 0 && this.demand.mayBeSilent) this.plain()
    else {
      this.refused('timeout')
      this.end()
    }
  }

  protected look(): boolean {
    const { received } = this
    if (received.length === 0) return false
    const isTls = received[0] === handshakeRecord && (received.length === 1 || received[1] === majorVersion)
    if (!isTls) this.plain()
    else if (this.demand.mayBeForeign) return this.lookAtHello()
    else return this.lookAtRecord()
    return true
  }

  private lookAtRecord(): boolean {
    const { received } = this
    if (received.length < recordHeader) return false
    const size = received.readUInt16BE(3)
    if (size > maxSealedBytes) {
      this.refused('too_large')
      this.end()
      return true
    }
    if (received.length < recordHeader + size) return false
    this.secure()
    return true
  }

  private lookAtHello(): boolean {
    const hello = readClientHello(this.received)
    if (hello === 'more') return false
    if (hello !== 'none' && rawTlsProtocols.some((one) => hello.protocols.includes(one))) this.secure()
    else this.plain()
    return true
  }

  private secure(): void {
    const { arriving, deps, received } = this
    const { identity, protocols } = this.demand
    const listener = arriving.spec.name
    this.finish()
    deps.handshakes.serve(
      arriving.transport,
      received,
      { listener, identity, protocols },
      {
        onSecure: (transport) => {
          const peer = transport.peer().identity
          deps.counts.accepted(listener, 'mutual_tls', peer.kind === 'spiffe' ? peer.id : '')
          arriving.transport = transport
          arriving.received = null
          this.next(arriving)
        },
        onInsecure: () => arriving.onEnd(),
      },
    )
  }

  private plain(): void {
    const { arriving, demand, deps, received } = this
    this.finish()
    const { transport } = arriving
    if (demand.mode === 'permissive') {
      deps.counts.accepted(arriving.spec.name, 'none', arriving.proxy?.sourceAddress ?? transport.peer().address)
      arriving.received = received
      this.next(arriving)
      return
    }
    this.refused('no_tls')
    if (demand.isHttp && looksLikeHttp(received)) {
      void new RefusalReply(deps, transport, plainAnswer, arriving.onEnd)
      return
    }
    transport.reset()
    arriving.onEnd()
  }

  private refused(reason: string): void {
    const { spec, transport } = this.arriving
    this.deps.handshakes.refused(reason, spec.name, transport)
  }

  protected override finish(): void {
    this.waiting.delete(this)
    super.finish()
  }
}

/** A method's letters. */
function looksLikeHttp(received: Buffer): boolean {
  return /^[A-Za-z]{1,20}(?: |$)/.test(received.toString('latin1', 0, 21))
}
