/**
 * A stand-in collector: takes OTLP over HTTP and gRPC and Zipkin's JSON, keeps what it was given, and fails on request.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Server as GrpcServer, ServerCredentials, status } from '@grpc/grpc-js'
import type { Signal } from '../../../contracts/telemetry.ts'
import { exportService, readExport, recordsOf } from './messages.ts'
import type { ReadRecord } from './messages.ts'

interface UnaryCall {
  readonly request: Parameters<typeof recordsOf>[0]
  readonly metadata: { getMap(): Record<string, unknown> }
}

/** What it serves with, and whom it takes: callers with a certificate of `callersCa` alone. PEM. */
export interface CollectorTls {
  readonly cert: string
  readonly key: string
  readonly callersCa?: string
}

export class StandInCollector {
  readonly records: Record<Signal, ReadRecord[]> = { traces: [], logs: [] }
  readonly zipkin: Record<string, unknown>[] = []
  readonly requests: { path: string; headers: Record<string, unknown>; bytes: number }[] = []
  /** Status of the next answers; 200 = takes them. */
  httpStatus = 200
  retryAfter: string | undefined
  grpcStatus: number = status.OK
  /** Says so many were rejected. */
  rejects = 0
  /** Takes the request and never answers. */
  hangs = false
  private readonly tls: CollectorTls | undefined
  private readonly http: Server
  private readonly grpc = new GrpcServer()
  private grpcPort = 0

  private constructor(tls: CollectorTls | undefined) {
    this.tls = tls
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Buffer.concat(chunks)
        this.requests.push({ path: request.url ?? '', headers: request.headers, bytes: body.length })
        if (this.hangs) return
        if (this.httpStatus === 200) this.takeHttp(request.url ?? '', body)
        if (this.retryAfter !== undefined) response.setHeader('retry-after', this.retryAfter)
        response.writeHead(this.httpStatus, { 'content-type': 'application/x-protobuf' })
        response.end(this.partial())
      })
    }
    this.http = tls === undefined ? createServer(answer) : createSecureServer(secureOptions(tls), answer)
    for (const signal of ['traces', 'logs'] as const)
      this.grpc.addService(exportService[signal], {
        Export: (call: UnaryCall, answer: (error: object | null, reply?: object) => void) => {
          const { path } = exportService[signal]['Export']!
          this.requests.push({ path, headers: call.metadata.getMap(), bytes: 0 })
          if (this.grpcStatus !== status.OK) {
            answer({ code: this.grpcStatus, details: 'as told' })
            return
          }
          this.records[signal].push(...recordsOf(call.request))
          answer(
            null,
            this.rejects === 0
              ? {}
              : {
                  partial_success: {
                    [`rejected_${signal === 'traces' ? 'spans' : 'log_records'}`]: this.rejects,
                    error_message: 'no',
                  },
                },
          )
        },
      })
  }

  static async start(port = 0, tls?: CollectorTls): Promise<StandInCollector> {
    const collector = new StandInCollector(tls)
    await new Promise<void>((resolve) => collector.http.listen(port, '127.0.0.1', resolve))
    collector.grpcPort = await new Promise<number>((resolve, reject) =>
      collector.grpc.bindAsync('127.0.0.1:0', collector.credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    )
    return collector
  }

  /** With TLS by its name, which its certificate has to hold. */
  private get origin(): string {
    return this.tls === undefined ? 'http://127.0.0.1' : 'https://localhost'
  }

  private get credentials(): ServerCredentials {
    if (this.tls === undefined) return ServerCredentials.createInsecure()
    const { callersCa, cert, key } = this.tls
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }
    const roots = callersCa === undefined ? null : Buffer.from(callersCa)
    return ServerCredentials.createSsl(roots, [pair], callersCa !== undefined)
  }

  get port(): number {
    return (this.http.address() as AddressInfo).port
  }
  get url(): string {
    return `${this.origin}:${this.port}`
  }
  get grpcUrl(): string {
    return `${this.origin}:${this.grpcPort}`
  }

  private takeHttp(path: string, body: Buffer): void {
    if (path.endsWith('/v1/traces')) this.records.traces.push(...readExport('traces', body))
    else if (path.endsWith('/v1/logs')) this.records.logs.push(...readExport('logs', body))
    else this.zipkin.push(...(JSON.parse(body.toString()) as Record<string, unknown>[]))
  }

  private partial(): Buffer {
    return this.rejects === 0 ? Buffer.alloc(0) : Buffer.from([0x0a, 6, 0x08, this.rejects, 0x12, 2, 0x6e, 0x6f])
  }

  async close(): Promise<void> {
    this.grpc.forceShutdown()
    this.http.closeAllConnections()
    await new Promise<void>((resolve) => this.http.close(() => resolve()))
  }
}

function secureOptions({ callersCa, cert, key }: CollectorTls): object {
  return callersCa === undefined ? { cert, key } : { cert, key, ca: callersCa, requestCert: true }
}
