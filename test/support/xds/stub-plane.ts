/** A control plane that says what no good one says: bytes as a test wants them, for each request. */
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import { type Field, bytesIn, fieldsOf, message, textOf } from '../../../contracts/envoy-api/protobuf.ts'
import { adsPath } from '../../../registry-adapters/xds/wire/discovery.ts'

export interface StubRequest {
  readonly at: number
  /** Last part of the type: `Cluster`. */
  readonly type: string
  readonly node: string
  readonly version: string
  readonly nonce: string
  readonly names: readonly string[]
  readonly error: string | undefined
}

export type Say = (type: string, resources: readonly Buffer[], version?: string) => void

export const fullNames: Readonly<Record<string, string>> = {
  Cluster: 'envoy.config.cluster.v3.Cluster',
  ClusterLoadAssignment: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  Listener: 'envoy.config.listener.v3.Listener',
  RouteConfiguration: 'envoy.config.route.v3.RouteConfiguration',
}

export class StubPlane {
  readonly requests: StubRequest[] = []
  streams = 0
  port = 0
  private readonly server = new Server({ 'grpc.max_send_message_length': -1 })
  private readonly open = new Set<ServerDuplexStream<Buffer, Buffer>>()
  private nonce = 0
  private refusal: { readonly code: number; readonly details: string } | undefined

  /** `onRequest`: what is said to it, if anything. `at`: its port, 0 = any. */
  static async start(onRequest: (request: StubRequest, say: Say) => void, at = 0): Promise<StubPlane> {
    const plane = new StubPlane()
    const raw = (bytes: Buffer): Buffer => bytes
    const format = {
      path: adsPath,
      requestStream: true,
      responseStream: true,
      requestSerialize: raw,
      requestDeserialize: raw,
      responseSerialize: raw,
      responseDeserialize: raw,
    }
    plane.server.addService(
      { ads: format },
      {
        ads: (stream: ServerDuplexStream<Buffer, Buffer>) => {
          plane.streams++
          if (plane.refusal !== undefined) return void stream.emit('error', plane.refusal)
          plane.open.add(stream)
          const say: Say = (type, resources, version = '1') =>
            void stream.write(plane.response(type, resources, version))
          stream.on('data', (bytes: Buffer) => {
            const request = read(bytes)
            plane.requests.push(request)
            onRequest(request, say)
          })
          stream.on('error', () => undefined)
          stream.on('close', () => plane.open.delete(stream))
        },
      },
    )
    plane.port = await new Promise<number>((resolve, reject) => {
      plane.server.bindAsync(`127.0.0.1:${at}`, ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      )
    })
    return plane
  }

  /** On all streams, without a request. */
  say(type: string, resources: readonly Buffer[], version = '1'): void {
    for (const stream of this.open) stream.write(this.response(type, resources, version))
  }

  /** Ends all streams with this status, and each that is opened; undefined = takes them again. */
  refuse(refusal: { readonly code: number; readonly details: string } | undefined): void {
    this.refusal = refusal
    if (refusal !== undefined) for (const stream of this.open) stream.emit('error', refusal)
  }

  raw(bytes: Buffer): void {
    for (const stream of this.open) stream.write(bytes)
  }

  close(): void {
    this.server.forceShutdown()
  }

  private response(type: string, resources: readonly Buffer[], version: string): Buffer {
    const url = `type.googleapis.com/${fullNames[type] ?? type}`
    const packed = resources.map((one) => message([1, url], [2, one]))
    return message([1, version], [2, packed], [4, url], [5, String(++this.nonce)])
  }
}

function read(bytes: Buffer): StubRequest {
  const text: Record<number, string> = {}
  const names: string[] = []
  let error: string | undefined
  let node = ''
  for (const { field, value } of fieldsOf(bytes))
    if (field === 3) names.push(textOf(value))
    else if (field === 6) error = within(bytesIn(value), 2)
    else if (field === 2) node = within(bytesIn(value), 1)
    else text[field] = textOf(value)
  const [version = '', type = '', nonce = ''] = [text[1], text[4], text[5]]
  return { at: performance.now(), type: type.slice(type.lastIndexOf('.') + 1), node, version, nonce, names, error }
}

function within(bytes: Buffer, wanted: number): string {
  let found = ''
  for (const { field, value } of fieldsOf(bytes)) if (field === wanted) found = textOf(value)
  return found
}

/** An EDS cluster, with further fields. */
export function clusterBytes(name: string, ...more: readonly Field[]): Buffer {
  const ads = message([3, [Buffer.alloc(0)]])
  return message([1, name], [2, 3], [3, message([1, ads])], ...more)
}

export function assignmentBytes(name: string, addresses: readonly string[]): Buffer {
  const endpoints = addresses.map((address) =>
    message([1, message([1, message([1, message([2, address], [3, 8080])])])]),
  )
  return message([1, name], [2, message([2, endpoints])])
}
