import { isIPv6 } from 'node:net'

import type { SecureContext } from 'node:tls'

import { LogPause } from '../../../../contracts/log-pause.ts'
import type { Clock } from '../clock.ts'
import { Timer } from '../timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../timer-wheel.ts'
import type { Transport } from '../transport.ts'
import type { Contexts } from './contexts.ts'
import type { EngineOptions } from './engine.ts'
import { Handshake } from './handshake.ts'
import type { HandshakeUser } from './handshake.ts'
import type { Identities } from './identities.ts'
import { anyCaller, callerCheck, serverCheck, spiffeCheck } from './peer-check.ts'
import type { PeerCheck } from './peer-check.ts'
import type { TlsCounts } from './tls-counts.ts'
import type { TlsRole, TlsShared } from './tls-shared.ts'
import type { TlsTransport } from './tls-transport.ts'
import { handshakeTimeoutMs } from './words.ts'

/** Handshakes of callers under way at the same time: beyond it the oldest gives its place. */
const maxServerHandshakes = 1024

export interface HandshakesDeps {
  /** Made at the first use. */
  readonly shared: () => TlsShared
  readonly contexts: Contexts
  readonly identities: Identities
  readonly counts: TlsCounts
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly warn: (message: string) => void
}

/** What a server's end is asked for. */
export interface ServerWish {
  /** For log lines. */
  readonly listener: string
  /** SPIFFE id under which it answers; undefined = the host's own. */
  readonly identity: string | undefined
  /** Chosen from; none = not spoken of. */
  readonly protocols: readonly string[]
  /** Of a server for strangers, in place of an identity; absent = mutual, of the mesh. */
  readonly own?: OwnServer
}

/** What a server for callers that are not of the mesh shows, and asks for. */
export interface OwnServer {
  /** By name. */
  readonly credential: string
  /** Callers show a certificate of its roots. */
  readonly isMutual: boolean
  /** Names that such a certificate may have; empty = any. */
  readonly subjectAltNames: readonly string[]
}

/** How a server is called. */
export interface ClientWish {
  /** Ours, for mutual TLS; undefined = the host's own. */
  readonly identity: string | undefined
  /** `mutual`: both have SPIFFE ids. `simple`: the server alone proves who it is. */
  readonly mode: 'mutual' | 'simple'
  /** Names that the server may have; empty = any of a mutual server, `serverName` of a simple one. */
  readonly subjectAltNames: readonly string[]
  /** SNI; '' = none. */
  readonly serverName: string
  /** Of a simple one, by name; undefined = the roots of the system, and nothing is shown. */
  readonly credential: string | undefined
  /** Without a certificate in it there is no connection. */
  readonly showsCredential: boolean
  readonly protocols: readonly string[]
}

/** Starts handshakes, keeps them within their bounds, and tells what became of them. */
export class Handshakes {
  private readonly deps: HandshakesDeps
  /** In the order of their beginning. */
  private readonly servers = new Set<Running>()
  private readonly pause = new LogPause()

  constructor(deps: HandshakesDeps) {
    this.deps = deps
  }

  /** Handshakes of callers under way. */
  get serving(): number {
    return this.servers.size
  }

  /** The caller has sent `received`, the first record of TLS. */
  serve(transport: Transport, received: Buffer, wish: ServerWish, user: HandshakeUser): void {
    const where = `${wish.listener}: ${addressOf(transport)}`
    const context = this.serverContext(wish, where)
    if (context === undefined) {
      transport.close()
      this.ended('server', 'no_identity', where)
      user.onInsecure('no_identity')
      return
    }
    if (this.servers.size >= maxServerHandshakes) {
      const [oldest] = this.servers
      oldest?.refuse('crowded')
    }
    const { own, protocols } = wish
    const asksCertificate = own === undefined || own.isMutual
    const options = { role: 'server', context, asksCertificate, protocols, serverName: '' } as const
    this.servers.add(this.run(transport, received, options, checkOf(own), where, user))
  }

  /** undefined = there is no such certificate, or none by whose roots callers are known. */
  private serverContext({ identity, own }: ServerWish, where: string): SecureContext | undefined {
    const { contexts, identities } = this.deps
    if (own === undefined) {
      const certificate = identities.find(identity)
      return certificate && this.contextOf(() => contexts.mutualOf(certificate), where)
    }
    const credential = identities.credential(own.credential)
    if (credential?.chain === undefined || (own.isMutual && credential.roots === undefined)) return undefined
    return this.contextOf(() => contexts.simpleOf(credential), where)
  }

  /** The answer ends it: nothing is called then, and the socket is closed. */
  call(transport: Transport, wish: ClientWish, user: HandshakeUser): { cancel(): void } {
    const { contexts, identities } = this.deps
    const { credential, mode, protocols, serverName, showsCredential, subjectAltNames } = wish
    const where = `call of ${addressOf(transport)}`
    const certificate = mode === 'mutual' ? identities.find(wish.identity) : undefined
    const shown = credential === undefined ? undefined : identities.credential(credential)
    const isMissing =
      mode === 'mutual'
        ? certificate === undefined
        : (credential !== undefined && shown === undefined) || (showsCredential && shown?.chain === undefined)
    const context = isMissing
      ? undefined
      : this.contextOf(
          () => (certificate === undefined ? contexts.simpleOf(shown) : contexts.mutualOf(certificate)),
          where,
        )
    if (context === undefined) {
      transport.close()
      this.ended('client', 'no_identity', where)
      const soon = setImmediate(() => user.onInsecure('no_identity'))
      return { cancel: () => clearImmediate(soon) }
    }
    const check = mode === 'mutual' ? spiffeCheck(subjectAltNames) : serverCheck(subjectAltNames, serverName)
    const options = { role: 'client', context, asksCertificate: false, protocols, serverName } as const
    return this.run(transport, Buffer.alloc(0), options, check, where, user)
  }

  /** Said by what has no handshake: a caller without TLS where it is asked for, or none of whom came to one. */
  refused(reason: string, listener: string, transport: Transport): void {
    this.ended('server', reason, `${listener}: ${addressOf(transport)}`)
  }

  close(): void {
    for (const one of this.servers) one.cancel()
  }

  private contextOf<T>(make: () => T, where: string): T | undefined {
    try {
      return make()
    } catch (error) {
      this.say(
        'context',
        `${where}: a certificate cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      )
      return undefined
    }
  }

  private run(
    transport: Transport,
    received: Buffer,
    options: EngineOptions,
    check: PeerCheck,
    where: string,
    user: HandshakeUser,
  ): Running {
    const { clock, shared, wheel } = this.deps
    const running: Running = new Running(
      { wheel, until: clock.refresh() + handshakeTimeoutMs },
      {
        onSecure: (secure) => {
          this.servers.delete(running)
          this.deps.counts.handshake(options.role, 'ok')
          clock.refresh()
          user.onSecure(secure)
        },
        onInsecure: (reason) => {
          this.servers.delete(running)
          this.ended(options.role, reason, where)
          clock.refresh()
          user.onInsecure(reason)
        },
      },
      (told) => new Handshake(shared(), transport, received, options, check, told),
    )
    return running
  }

  private ended(role: TlsRole, reason: string, where: string): void {
    this.deps.counts.handshake(role, reason)
    const what = role === 'server' ? 'no TLS with this caller' : 'no TLS with this endpoint'
    this.say(`${role} ${reason}`, `${where}: ${what}: ${reason}`)
  }

  private say(kind: string, message: string): void {
    if (this.pause.allows(this.deps.clock.now, kind)) this.deps.warn(message)
  }
}

/** A handshake and its time. */
class Running implements TimerOwner, HandshakeUser {
  private readonly wheel: TimerWheel
  private readonly timer: Timer
  private readonly user: HandshakeUser
  private readonly handshake: Handshake

  constructor(
    { until, wheel }: { readonly wheel: TimerWheel; readonly until: number },
    user: HandshakeUser,
    start: (user: HandshakeUser) => Handshake,
  ) {
    this.wheel = wheel
    this.user = user
    this.timer = new Timer(this, 0)
    wheel.arm(this.timer, until)
    this.handshake = start(this)
  }

  onSecure(transport: TlsTransport): void {
    this.wheel.drop(this.timer)
    this.user.onSecure(transport)
  }

  onInsecure(reason: string): void {
    this.wheel.drop(this.timer)
    this.user.onInsecure(reason)
  }

  onTimer(): void {
    this.handshake.refuse('timeout')
  }

  refuse(reason: string): void {
    this.handshake.refuse(reason)
  }

  cancel(): void {
    this.wheel.drop(this.timer)
    this.handshake.cancel()
  }
}

function checkOf(own: OwnServer | undefined): PeerCheck {
  if (own === undefined) return spiffeCheck([])
  return own.isMutual ? callerCheck(own.subjectAltNames) : anyCaller
}

function addressOf(transport: Transport): string {
  const { address, port } = transport.peer()
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
}
