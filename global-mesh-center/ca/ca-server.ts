/**
 * The port of the authority: HTTPS with a certificate of its own making, HTTP/1.1 with JSON for hosts
 * (`contracts/ca-api.ts`) and HTTP/2 for Istio's agents. A peer may show a certificate; who does not can only read the
 * bundle and join.
 *
 * Bounds: 1,024 connections and 32 of one address (the longest idle leaves), 5 s for a handshake, 3 s for a head, 10 s
 * for a request, 64 KiB of body.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto'
import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { caPaths, centerId, type CaIssued, type CaProblem } from '../../contracts/ca-api.ts'
import type { Clock } from '../../contracts/clock.ts'
import { MeshError, describeError } from '../../contracts/errors.ts'
import { grpcType } from '../../contracts/grpc-wire.ts'
import { quotaKey } from '../../contracts/quota-key.ts'
import type { AdapterLog, AdapterMetrics } from '../../contracts/registry-adapter.ts'
import type { WorkloadCertificate } from '../../contracts/workload-certificate.ts'
import { boundedBody } from '../../guard/bounded-body.ts'
import { ConnectionBudget } from '../../guard/connection-budget.ts'
import { RequestTurns } from '../../guard/request-turns.ts'
import type { Authority } from './authority.ts'
import type { Caller, CertificateService } from './certificate-service.ts'
import { createCertificate, createCertificatePath, grpcStatus, type GrpcReply } from './istio-api.ts'

const { createSecureServer } = process.getBuiltinModule('node:http2')

const maxConnections = 1024
const maxConnectionsPerAddress = 32
const maxBodyBytes = 65_536
const handshakeMs = 5000
const headMs = 3000
const requestMs = 10_000
const idleMs = 60_000
const maxStreams = 16
/** Of the certificate that the port shows. */
const serverCertificateMs = 24 * 3_600_000

export interface CaServerDeps {
  readonly authority: Authority
  readonly service: CertificateService
  readonly trustDomain: string
  /** Names and addresses that clients may check besides the SPIFFE id. */
  readonly names: { readonly dnsNames: readonly string[]; readonly addresses: readonly string[] }
  readonly clock: Pick<Clock, 'wall' | 'after'>
  readonly log: AdapterLog
  readonly metrics: Pick<AdapterMetrics, 'count'>
}

export class CaServer {
  private readonly deps: CaServerDeps
  private readonly server: Http2SecureServer
  private readonly sessions = new Set<ServerHttp2Session>()
  private readonly sockets = new Set<Socket>()
  private readonly key: KeyObject
  /** What the port shows now: which authority, and until when. */
  private shown = { of: '', renewAt: 0 }
  /** Of this port, the center's own. */
  certificate!: WorkloadCertificate

  constructor(deps: CaServerDeps) {
    this.deps = deps
    this.key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    this.server = this.make()
  }

  /** Resolves with the bound port. Rejects with E_LISTEN_IN_USE or E_LISTEN_DENIED. */
  listen(address: { readonly host: string; readonly port: number }): Promise<number> {
    const server = this.server
    return new Promise((resolve, reject) => {
      const failed = (cause: NodeJS.ErrnoException) => {
        const code = cause.code === 'EADDRINUSE' ? 'E_LISTEN_IN_USE' : 'E_LISTEN_DENIED'
        reject(new MeshError(code, `ca.address ${address.host}:${address.port}: cannot listen`, { cause }))
      }
      server.once('error', failed)
      server.listen(address, () => {
        server.removeListener('error', failed)
        server.on('error', () => undefined)
        const bound = server.address()
        resolve(typeof bound === 'object' && bound !== null ? bound.port : address.port)
      })
    })
  }

  /** New connections get what the authority is now: its roots, and a certificate of this port in time. True = new. */
  refresh(): boolean {
    if (stampOf(this.deps.authority) === this.shown.of && this.deps.clock.wall() < this.shown.renewAt) return false
    this.server.setSecureContext(this.context())
    return true
  }

  async close(): Promise<void> {
    if (!this.server.listening) return
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve())
      for (const session of this.sessions) session.destroy()
      for (const socket of this.sockets) socket.destroy()
    })
  }

  private context() {
    const { authority, clock, names, trustDomain } = this.deps
    const publicKey = createPublicKey(this.key)
    const now = clock.wall()
    const leaf = authority.issue({ publicKey, uri: centerId(trustDomain), lifetimeMs: serverCertificateMs, ...names })
    this.shown = { of: stampOf(authority), renewAt: now + (leaf.notAfter - now) / 2 }
    const key = this.key.export({ type: 'pkcs8', format: 'pem' }) as string
    const { trustBundle } = authority
    this.certificate = { id: centerId(trustDomain), chain: leaf.chain, key, trustBundle, notAfter: leaf.notAfter }
    return { cert: leaf.chain, key, ca: trustBundle }
  }

  private make(): Http2SecureServer {
    const { metrics, log } = this.deps
    const server = createSecureServer({
      ...this.context(),
      allowHTTP1: true,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      handshakeTimeout: handshakeMs,
      headersTimeout: headMs,
      requestTimeout: requestMs,
      maxHeaderSize: 16_384,
      settings: { maxConcurrentStreams: maxStreams },
      maxSessionMemory: 1,
    } as Parameters<typeof createSecureServer>[0])
    const budget = new ConnectionBudget<Socket>({
      most: maxConnections,
      mostPerCaller: maxConnectionsPerAddress,
      onBound: (bound) => metrics.count('ca_connections_refused', { bound }),
    })
    server.setTimeout(idleMs)
    server.prependListener('connection', (socket: Socket) => {
      if (!budget.enter(socket, quotaKey(socket.remoteAddress ?? 'unknown'))) {
        socket.destroy()
        return
      }
      this.sockets.add(socket)
      socket.once('close', () => {
        budget.leave(socket)
        this.sockets.delete(socket)
      })
    })
    server.on('session', (session) => {
      this.sessions.add(session)
      session.once('close', () => this.sessions.delete(session))
      session.on('error', () => undefined)
    })
    server.on('tlsClientError', (error, socket) => {
      metrics.count('ca_handshakes_failed', {})
      log.debug({ address: socket.remoteAddress, reason: (error as { code?: string }).code }, 'no handshake')
    })
    const turns = new RequestTurns({
      onPipelined: () => metrics.count('ca_connections_refused', { bound: 'pipelined' }),
    })
    server.on('request', (request, response) => {
      const answer = () =>
        void this.serve(request, response).catch((error: unknown) => {
          log.error({ code: 'E_INTERNAL' }, `a request to the authority: ${describeError(error)}`)
          response.destroy()
        })
      // HTTP/2 has its own bound, of streams
      if (request.httpVersionMajor === 2) answer()
      else turns.take(request.socket, response, answer)
    })
    return server
  }

  private async serve(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    response.on('error', () => undefined)
    const path = request.url.split('?', 1)[0]!
    const isGrpc =
      request.httpVersionMajor === 2 && /^application\/grpc(\+proto)?$/.test(String(request.headers['content-type']))
    // the request forgets its socket when it ends
    const caller = callerOf(request)
    const end = endOf(request)
    const late = this.deps.clock.after(requestMs, () => end.destroy())
    const body = await readBody(request).finally(late)
    if (body === undefined) {
      end.destroy()
      return
    }
    if (isGrpc) {
      const reply =
        path === createCertificatePath
          ? await createCertificate(this.deps.service, caller, body)
          : { status: grpcStatus.unimplemented, message: `${path}: not served`, body: Buffer.alloc(0) }
      sendGrpc(response, reply)
      return
    }
    const { status, value } = await this.answer(request.method, path, body, caller)
    send(response, status, value)
  }

  private async answer(
    method: string,
    path: string,
    body: Buffer,
    caller: Caller,
  ): Promise<{ status: number; value: object }> {
    const { service, trustDomain } = this.deps
    try {
      if (path === caPaths.bundle && method === 'GET')
        return { status: 200, value: { trustDomain, trustBundle: service.trustBundle } }
      if (method !== 'POST' || (path !== caPaths.join && path !== caPaths.certificates))
        return problem(
          404,
          'E_CA_REFUSED',
          `${method} ${path.slice(0, 100)}: allowed GET ${caPaths.bundle}, POST ${caPaths.join}, POST ${caPaths.certificates}`,
        )
      const words = stringsOf(body)
      if (words === undefined) return problem(400, 'E_CA_REFUSED', 'the body is no JSON object of texts')
      const { token = '', host = '', request = '' } = words
      const issued =
        path === caPaths.join
          ? await service.join(caller, token, host, request)
          : await service.certify(caller, request)
      return { status: 200, value: { ...issued, trustDomain } satisfies CaIssued }
    } catch (error) {
      if (error instanceof MeshError && error.code === 'E_CA_REFUSED') return problem(403, error.code, error.message)
      return problem(503, 'E_INTERNAL', 'the authority cannot answer now; its log says why')
    }
  }
}

function stampOf(authority: Authority): string {
  return `${authority.view().issuerNotAfter} ${authority.trustBundle}`
}

function problem(status: number, code: string, error: string): { status: number; value: CaProblem } {
  return { status, value: { code, error } }
}

/** What ends this request at once: its stream over HTTP/2, its connection over HTTP/1.1. */
function endOf(request: Http2ServerRequest): { destroy(): unknown } {
  return request.httpVersionMajor === 2 ? request.stream : request.socket
}

/** Only a certificate that TLS has checked against the roots counts. */
function callerOf(request: Http2ServerRequest): Caller {
  const socket = (request.stream?.session?.socket ?? request.socket) as TLSSocket
  const address = socket.remoteAddress ?? 'unknown'
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined
  return { address, certificate: certificate as X509Certificate | undefined }
}

/** Undefined: too long, or the caller went away. */
async function readBody(request: Http2ServerRequest): Promise<Buffer | undefined> {
  try {
    return await boundedBody(request, maxBodyBytes)
  } catch {
    return undefined
  }
}

function stringsOf(body: Buffer): Partial<Record<string, string>> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const entries = Object.entries(value)
    return entries.every(([, text]) => typeof text === 'string')
      ? (Object.assign(Object.create(null), value) as Record<string, string>)
      : undefined
  } catch {
    return undefined
  }
}

function send(response: Http2ServerResponse, status: number, value: object): void {
  const text = JSON.stringify(value)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  })
  response.end(text)
}

function sendGrpc(response: Http2ServerResponse, { status, message, body }: GrpcReply): void {
  response.writeHead(200, { 'content-type': grpcType })
  response.addTrailers({ 'grpc-status': String(status), 'grpc-message': encodeURIComponent(message) })
  response.end(body)
}
