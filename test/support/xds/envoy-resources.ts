/** Resources as JSON, in the form that Envoy's own documents have, as bytes by Envoy's own .proto files. */
import { loadSync } from '@grpc/proto-loader'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Resource } from './control-plane.ts'

interface ProtoField {
  readonly name: string
  readonly label: string
  readonly typeName: string
}
interface ProtoMessage {
  readonly name: string
  readonly field: readonly ProtoField[]
  readonly nestedType: readonly ProtoMessage[]
  readonly options?: { readonly mapEntry?: boolean } | null
}
interface Loaded {
  readonly type: ProtoMessage
  serialize(value: object): Buffer
}

const home = 'node_modules/@grpc/grpc-js-xds/deps'
const files = [
  'envoy/config/cluster/v3/cluster.proto',
  'envoy/config/listener/v3/listener.proto',
  'envoy/config/route/v3/route.proto',
  'envoy/config/endpoint/v3/endpoint.proto',
  'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
  'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto',
  'envoy/extensions/filters/http/router/v3/router.proto',
  'envoy/extensions/filters/http/fault/v3/fault.proto',
  'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
]

export class EnvoyResources {
  private readonly loaded: Readonly<Record<string, unknown>>
  private readonly byName = new Map<string, ProtoMessage>()

  constructor() {
    this.loaded = loadSync(files, {
      includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate']
        .map((folder) => join(home, folder))
        .filter((folder) => existsSync(folder)),
    })
    for (const [name, one] of Object.entries(this.loaded))
      if ('type' in (one as object) && 'field' in (one as Loaded).type) this.add(name, (one as Loaded).type)
  }

  encode(resource: Resource): { type: string; bytes: Buffer } {
    const type = typeOf(resource)
    return { type, bytes: (this.loaded[type] as Loaded).serialize(this.message(type, resource)) }
  }

  private add(name: string, message: ProtoMessage): void {
    this.byName.set(name, message)
    for (const nested of message.nestedType) this.add(`${name}.${nested.name}`, nested)
  }

  private message(type: string, value: Readonly<Record<string, unknown>>): object {
    const found = this.find(type, '')
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, one]) => {
        if (key === '@type' || one === undefined) return key === '@type' ? [[key, one]] : []
        const field = found?.message.field.find(({ name }) => name === key)
        if (field === undefined) throw new Error(`${type} has no ${key}`)
        return [[key, this.field(field, one, found!.name)]]
      }),
    )
  }

  private field(field: ProtoField, value: unknown, around: string): unknown {
    if (Array.isArray(value)) return value.map((one) => this.field(field, one, around))
    const type = field.typeName.replace(/^\./, '')
    if (type.endsWith('protobuf.Duration')) {
      const ms = Number.parseFloat(String(value)) * 1000
      return { seconds: Math.trunc(ms / 1000), nanos: (ms % 1000) * 1e6 }
    }
    if (/protobuf\.\w+Value$/.test(type)) return { value }
    if (typeof value !== 'object' || value === null) return value
    const inner = value as Record<string, unknown>
    if (type.endsWith('protobuf.Struct'))
      return {
        fields: Object.fromEntries(
          Object.entries(inner).map(([key, one]) => [
            key,
            typeof one === 'string' ? { stringValue: one } : { boolValue: one },
          ]),
        ),
      }
    if (type.endsWith('protobuf.Any')) return this.message(typeOf(inner), inner)
    const found = this.find(type, around)
    const held = found?.message.field.find(({ name }) => name === 'value')
    if (found?.message.options?.mapEntry === true && held !== undefined)
      return Object.fromEntries(Object.entries(inner).map(([key, one]) => [key, this.field(held, one, found.name)]))
    return this.message(found?.name ?? type, inner)
  }

  /** By its full name, or as it is called inside `around`. */
  private find(type: string, around: string): { name: string; message: ProtoMessage } | undefined {
    for (let scope = around; ; scope = scope.slice(0, Math.max(0, scope.lastIndexOf('.')))) {
      const name = scope === '' ? type : `${scope}.${type}`
      const message = this.byName.get(name)
      if (message !== undefined) return { name, message }
      if (scope === '') return undefined
    }
  }
}

function typeOf(resource: Readonly<Record<string, unknown>>): string {
  const url = String(resource['@type'])
  return url.slice(url.lastIndexOf('/') + 1)
}
