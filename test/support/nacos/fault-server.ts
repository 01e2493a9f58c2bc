/**
 * A small Nacos stand-in that can be told to misbehave: late or missing acknowledgements, 300, 301, streams that end
 * after set-up, hangs, resets, torn JSON, wrong services, stale or empty pushes, huge lists, expired tokens, 403, old
 * paths that are gone. In the dialects of 1.x (HTTP and UDP only), 2.x and 3.x.
 */
import { ServerCredentials } from '@grpc/grpc-js'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { WireInstance } from '../../../registry-adapters/nacos/wire/instance.ts'
import { freePort } from '../free-port.ts'
import { ordinaryScript, startGrpc } from './stand-in/grpc.ts'
import type { GrpcScript, StandInGrpc } from './stand-in/grpc.ts'
import { startHttp } from './stand-in/http.ts'
import type { Dialect, HttpScript, StandInHttp } from './stand-in/http.ts'
import { StandInStore } from './stand-in/store.ts'

export type { Dialect, HttpReply, HttpRequestSeen } from './stand-in/http.ts'
export type { GrpcReply, GrpcRequestSeen, StandInConnection } from './stand-in/grpc.ts'

export interface FaultServerOptions {
  /** Default 2.x. */
  readonly dialect?: Dialect
  /** Of the HTTP and gRPC ports; with `ca`, clients must show a certificate of it. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca?: string }
  /** Servers with one store are one cluster. */
  readonly store?: StandInStore
}

export interface FaultServer {
  readonly dialect: Dialect
  /** `127.0.0.1:PORT` of HTTP. */
  readonly address: string
  readonly port: number
  readonly grpcPort: number
  /** What the adapter's configuration needs, because both ports are any. */
  readonly grpcPortOffset: number
  readonly store: StandInStore
  /** What the gRPC side does; may be changed at any time. */
  readonly grpc: GrpcScript
  readonly http: HttpScript
  /** What came in so far. */
  readonly grpcSeen: StandInGrpc['seen']
  readonly httpSeen: StandInHttp['seen']
  readonly acks: StandInGrpc['acks']
  readonly connections: StandInGrpc['connections']
  setHosts(service: ServiceName, hosts: readonly Partial<WireInstance>[]): void
  /** Closes both ports and everything on them; `start()` opens the same ones again. */
  stop(): Promise<void>
  start(): Promise<void>
}

/** gRPC port minus HTTP port; not the usual 1000, so that nothing else expects it. */
const distance = 1338

export async function startFaultServer(options: FaultServerOptions = {}): Promise<FaultServer> {
  const dialect = options.dialect ?? '2.x'
  const store = options.store ?? new StandInStore()
  const script = ordinaryScript()
  const httpScript: HttpScript = { onRequest: undefined, login: undefined, isTokenGood: undefined }
  const seen: StandInGrpc['seen'] = []
  const httpSeen: StandInHttp['seen'] = []
  const acks: StandInGrpc['acks'] = []
  const ports = { http: 0, grpc: 0 }
  let http: StandInHttp | undefined
  let grpc: StandInGrpc | undefined

  const credentials = (): ServerCredentials => {
    const { tls } = options
    if (tls === undefined) return ServerCredentials.createInsecure()
    const ca = tls.ca === undefined ? null : Buffer.from(tls.ca)
    return ServerCredentials.createSsl(
      ca,
      [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) }],
      ca !== null,
    )
  }
  const start = async (): Promise<void> => {
    if (http !== undefined) return
    // clients compute the gRPC port, and servers of one cluster must have the same distance: ports are tried until both
    // are free
    for (let tries = 0; ; tries++) {
      const port = ports.http || (await freePort())
      try {
        http = await startHttp(port, dialect, store, httpScript, options.tls)
        if (dialect !== '1.x') grpc = await startGrpc(port + distance, store, script, credentials())
      } catch (error) {
        await http?.close()
        http = undefined
        if (ports.http !== 0 || tries > 20) throw error
        continue
      }
      ports.http = port
      if (grpc !== undefined) ports.grpc = grpc.port
      return
    }
  }
  const stop = async (): Promise<void> => {
    // what was seen stays readable
    seen.push(...(grpc?.seen ?? []))
    httpSeen.push(...(http?.seen ?? []))
    acks.push(...(grpc?.acks ?? []))
    grpc?.close()
    const closing = http?.close()
    grpc = undefined
    http = undefined
    await closing
  }

  const tell = store.onService
  store.onService = (service) => {
    tell(service)
    grpc?.notifyService(service)
    http?.notifyService(service)
  }
  const tellDocument = store.onDocument
  store.onDocument = (tenant, group, dataId) => {
    tellDocument(tenant, group, dataId)
    grpc?.notifyDocument(tenant, group, dataId)
  }
  await start()
  return {
    dialect,
    get address() {
      return `127.0.0.1:${ports.http}`
    },
    get port() {
      return ports.http
    },
    get grpcPort() {
      return ports.grpc
    },
    get grpcPortOffset() {
      return ports.grpc === 0 ? 1000 : ports.grpc - ports.http
    },
    store,
    grpc: script,
    http: httpScript,
    get grpcSeen() {
      return [...seen, ...(grpc?.seen ?? [])]
    },
    get httpSeen() {
      return [...httpSeen, ...(http?.seen ?? [])]
    },
    get acks() {
      return [...acks, ...(grpc?.acks ?? [])]
    },
    get connections() {
      return grpc?.connections ?? []
    },
    setHosts: (service, hosts) => store.setHosts(service, hosts),
    stop,
    start,
  }
}
