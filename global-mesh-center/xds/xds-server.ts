/**
 * The gRPC server of xDS, in both forms, for agents, and for proxies and clients of gRPC; and of rate limits. Bounds:
 * the streams (`stream-places.ts`), the names and the one response under way of each (`stream-bounds.ts`), 4 MiB of a
 * request.
 */
import { randomBytes } from 'node:crypto'
import { experimental, Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js'
import { every } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import { LogPause } from '../../contracts/log-pause.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { decodeRequest, deltaPath, typeUrls } from '../../registry-adapters/center/wire/delta.ts'
import { DeltaStream } from './delta-stream.ts'
import { parseClusterName } from './envoy/cluster-name.ts'
import { secretType, type ForeignResources, type ForeignView } from './envoy/foreign-resources.ts'
import { foreignTypes } from './envoy/world.ts'
import { KnownCallers } from '../rate-limits/known-callers.ts'
import { rateLimitCalls, rateLimitDefinition } from '../rate-limits/rate-limit-calls.ts'
import type { RateLimiter } from '../rate-limits/rate-limiter.ts'
import { PortCertificates } from './port-certificates.ts'
import { RefusalLog } from './refusal-log.ts'
import { Resources, type ResourceSource } from './resources.ts'
import { decodeStateRequest, statePath } from './state-request.ts'
import { StateStream } from './state-stream.ts'
import { checkNode } from './stream-bounds.ts'
import { StreamPlaces } from './stream-places.ts'
import { addressOf, XdsCallers, type Arriving, type XdsCaller, type XdsCallersOptions } from './xds-callers.ts'

export interface XdsServerOptions extends XdsCallersOptions {
  /** `127.0.0.1:15010`. */
  readonly address: string
  readonly tls: { readonly cert: string; readonly key: string } | undefined
  /** For agents, by the keys of services. */
  readonly endpoints: ResourceSource
  /** Absent: agents alone are served. */
  readonly foreign?: ForeignResources
  /** Rules for this host. */
  rulesOf(node: string): Resources
  /** Absent: this center counts for nobody. */
  readonly rateLimiter?: RateLimiter | undefined
}

type Call = ServerDuplexStream<Buffer, Buffer>

/** One stream, whichever form it speaks. */
interface Talk {
  /** Throws RangeError for what is no request. */
  take(bytes: Buffer): void
  regroup(): void
  close(): void
}

interface Opened {
  readonly caller: XdsCaller
  readonly address: string
  /** It ends, for what it showed is not good any more. */
  end(details: string): void
}

interface TalkDeps {
  readonly caller: XdsCaller
  send(bytes: Buffer): void
  onRefused(node: string, typeUrl: string, message: string): void
  onFault(message: string): void
}

const allTypes = [typeUrls.endpoints, typeUrls.rules, ...Object.values(foreignTypes), secretType]
/** Agents speak the incremental form alone. */
const stateTypes = [typeUrls.endpoints, ...Object.values(foreignTypes), secretType]
const agentTypes = new Set<string>([typeUrls.endpoints, typeUrls.rules])

/** The tokens are looked at so often, as at each stream that begins. */
const tokensMs = 1000
/** A stream whose certificate ends is looked at so often: the clock may jump. */
const lookMs = 60_000

export class XdsServer {
  private readonly options: XdsServerOptions
  private readonly deps: AdapterDeps
  private readonly endpoints: Resources
  private readonly callers: XdsCallers
  private readonly places = new StreamPlaces()
  private readonly fullLog = new LogPause()
  private readonly streams = new Map<Talk, Opened>()
  /** Of the tokens by which streams were looked at last. */
  private edition: object | undefined
  private stopLooking: () => void = () => undefined
  private server: Server | undefined

  constructor(options: XdsServerOptions, deps: AdapterDeps) {
    this.options = options
    this.deps = deps
    this.endpoints = new Resources(typeUrls.endpoints, options.endpoints)
    this.callers = new XdsCallers(options)
  }

  /** Resolves with the port. Rejects with E_LISTEN_IN_USE or E_CONFIG_INVALID (certificate). */
  async listen(): Promise<number> {
    const server = new Server({
      'grpc.max_receive_message_length': 4 * 1024 * 1024,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': 30_000,
    })
    const raw = (bytes: Buffer): Buffer => bytes
    const forms = { requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw }
    server.addService(
      {
        delta: { path: deltaPath, requestStream: true, responseStream: true, ...forms },
        state: { path: statePath, requestStream: true, responseStream: true, ...forms },
      },
      {
        delta: (call: Call) => this.accept(call, (deps) => this.deltaTalk(deps)),
        state: (call: Call) => this.accept(call, (deps) => this.stateTalk(deps)),
      },
    )
    const { rateLimiter } = this.options
    if (rateLimiter !== undefined) {
      const known = new KnownCallers((one) => this.callers.callerOf(one), this.deps.clock.monotonic)
      const isTls = this.options.tls !== undefined
      server.addService(
        rateLimitDefinition,
        rateLimitCalls(rateLimiter, (call) => known.callerOf(arriving(call, isTls))),
      )
    }
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(this.options.address, this.credentials(), (error, bound) => {
        if (error === null) resolve(bound)
        else reject(new MeshError('E_LISTEN_IN_USE', `xds ${this.options.address}: cannot listen: ${error.message}`))
      })
    })
    this.server = server
    this.edition = this.options.tokens?.edition
    this.stopLooking = every(this.deps.clock, tokensMs, () => this.lookAtTokens())
    return port
  }

  close(): Promise<void> {
    this.stopLooking()
    for (const stream of this.streams.keys()) this.drop(stream)
    this.server?.forceShutdown()
    this.server = undefined
    return Promise.resolve()
  }

  private credentials(): ServerCredentials {
    const { issuer, takesCertificates, tls } = this.options
    if (tls === undefined) return ServerCredentials.createInsecure()
    const { cert, key } = tls
    try {
      if (takesCertificates && issuer !== undefined) {
        const provider = new PortCertificates(tls, issuer)
        return experimental.createCertificateProviderServerCredentials(provider, provider, false)
      }
      return ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }])
    } catch (cause) {
      throw new MeshError('E_CONFIG_INVALID', `xds.tls: cert and key cannot be used: ${(cause as Error).message}`)
    }
  }

  private accept(call: Call, begin: (deps: TalkDeps) => Talk): void {
    const { metrics, log } = this.deps
    // a client that breaks off is no fault of ours
    call.on('error', () => undefined)
    const refuse = (code: status, details: string): void => {
      metrics.count('xds_streams_refused', {})
      call.emit('error', { code, details })
    }
    const caller = this.callers.callerOf(arriving(call, this.options.tls !== undefined))
    if ('refusal' in caller) return refuse(status.UNAUTHENTICATED, caller.refusal)
    const address = addressOf(call.getPeer())
    const full = this.places.enter(address)
    if (full !== undefined) {
      if (this.fullLog.allows(this.deps.clock.monotonic())) log.warn({ address }, `xds: ${address} is refused: ${full}`)
      return refuse(status.RESOURCE_EXHAUSTED, full)
    }
    const refusals = new RefusalLog(this.deps)
    const talk = begin({
      caller,
      send: (bytes) => {
        metrics.count('xds_responses', {})
        metrics.count('xds_bytes', {}, bytes.length)
        call.write(bytes)
      },
      onRefused: (node, typeUrl, message) => refusals.add(node || call.getPeer(), typeUrl, message),
      onFault: (message) => {
        log.warn({ peer: call.getPeer() }, `xds: ${call.getPeer()}: ${message}; its stream ends`)
        refuse(status.INVALID_ARGUMENT, message)
        this.drop(talk)
      },
    })
    const end = (details: string): void => {
      refuse(status.UNAUTHENTICATED, details)
      this.drop(talk)
    }
    this.streams.set(talk, { caller, address, end })
    this.count()
    const stopLooking = this.whenOver(caller, () => end('the certificate that this stream was opened with has ended'))
    call.on('data', (bytes: Buffer) => {
      try {
        talk.take(bytes)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        refuse(status.INVALID_ARGUMENT, `the request: ${error.message}`)
        this.drop(talk)
      }
    })
    call.on('end', () => {
      this.drop(talk)
      call.end()
    })
    call.on('cancelled', () => this.drop(talk))
    call.on('close', () => {
      stopLooking()
      this.drop(talk)
    })
  }

  private deltaTalk({ caller, send, onRefused, onFault }: TalkDeps): Talk {
    const { clock } = this.deps
    let foreign: ForeignView | undefined
    const stream: DeltaStream = new DeltaStream({
      clock,
      typeUrls: allTypes,
      wildcard: (typeUrl) => foreign?.wildcard(typeUrl),
      nonce: newNonce,
      // a token of a host says who it is, whatever the stream says
      resources: (typeUrl, node) => foreign?.resources(typeUrl) ?? this.resources(typeUrl, caller.host ?? node),
      send,
      onRefused: (typeUrl, message) => onRefused(stream.node, typeUrl, message),
      onFault,
    })
    return {
      take: (bytes) => {
        const request = decodeRequest(bytes)
        checkNode(request.node)
        if (!agentTypes.has(request.typeUrl) || request.subscribe.some((name) => parseClusterName(name) !== undefined))
          foreign ??= this.options.foreign?.view(request.nodeBytes, caller)
        stream.take(request)
      },
      regroup: () => stream.regroup(),
      close: () => {
        stream.close()
        foreign?.release()
      },
    }
  }

  private stateTalk({ caller, send, onRefused, onFault }: TalkDeps): Talk {
    const { clock } = this.deps
    let foreign: ForeignView | undefined
    let node = ''
    const stream = new StateStream({
      clock,
      typeUrls: stateTypes,
      resources: (typeUrl) => foreign?.resources(typeUrl),
      wildcard: (typeUrl) => foreign?.wildcard(typeUrl),
      nonce: newNonce,
      send,
      onRefused: (typeUrl, message) => onRefused(node, typeUrl, message),
      onFault,
    })
    return {
      take: (bytes) => {
        const request = decodeStateRequest(bytes)
        checkNode(request.nodeId)
        node = request.nodeId || node
        foreign ??= this.options.foreign?.view(request.nodeBytes, caller)
        stream.take(request)
      },
      regroup: () => undefined,
      close: () => {
        stream.close()
        foreign?.release()
      },
    }
  }

  /** Hosts that belong to other shares of roll-outs now get what differs for them. */
  regroup(): void {
    for (const stream of this.streams.keys()) stream.regroup()
  }

  private resources(typeUrl: string, node: string): Resources | undefined {
    if (typeUrl === typeUrls.endpoints) return this.endpoints
    return typeUrl === typeUrls.rules ? this.options.rulesOf(node) : undefined
  }

  /** Calls once what the caller showed has ended; stops when what it returns is called. */
  private whenOver({ until }: XdsCaller, call: () => void): () => void {
    const { clock } = this.deps
    if (until === undefined) return () => undefined
    let cancel: () => void = () => undefined
    const look = (): void => {
      const left = until - clock.wall()
      if (left <= 0) return call()
      cancel = clock.after(Math.min(left, lookMs), look)
    }
    look()
    return () => cancel()
  }

  /** Streams whose token was taken back, or is another one's, end. A file that cannot be used takes nothing back. */
  private lookAtTokens(): void {
    const edition = this.options.tokens?.edition
    if (edition === undefined || edition === this.edition) return
    this.edition = edition
    for (const { caller, end } of this.streams.values())
      if (caller.isGood?.() === false) end('the token that this stream was opened with is not good any more')
  }

  private drop(talk: Talk): void {
    const opened = this.streams.get(talk)
    if (opened === undefined) return
    this.streams.delete(talk)
    this.places.leave(opened.address)
    talk.close()
    this.count()
  }

  private count(): void {
    this.deps.metrics.gauge('xds_streams', {}, this.streams.size)
  }
}

/** Whoever guessed it would have responses made that it never reads. */
function newNonce(): string {
  return randomBytes(12).toString('base64url')
}

function arriving(call: Pick<Call, 'metadata' | 'getAuthContext' | 'getPeer'>, isTls: boolean): Arriving {
  const [authorization] = call.metadata.get('authorization')
  // empty unless TLS has checked the certificate of the client
  const { sslPeerCertificate } = call.getAuthContext()
  return {
    authorization: authorization === undefined ? undefined : String(authorization),
    certificate: sslPeerCertificate?.raw,
    isTls,
    peer: call.getPeer(),
  }
}
