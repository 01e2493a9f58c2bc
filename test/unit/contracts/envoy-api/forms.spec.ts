import { loadSync } from '@grpc/proto-loader'
import { expect } from 'chai'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { decodeMessage } from '../../../../contracts/envoy-api/decode.ts'
import { encodeMessage } from '../../../../contracts/envoy-api/encode.ts'
import { messages, type FieldForm } from '../../../../contracts/envoy-api/forms.ts'

const deps = 'node_modules/@grpc/grpc-js-xds/deps'

interface ProtoField {
  readonly name: string
  readonly number: number
  readonly label: string
  readonly type: string
  readonly typeName: string
}
interface ProtoMessage {
  readonly name: string
  readonly field: readonly ProtoField[]
  readonly nestedType: readonly ProtoMessage[]
}

const filesOf = [
  'envoy/service/discovery/v3/ads.proto',
  'envoy/config/cluster/v3/cluster.proto',
  'envoy/config/listener/v3/listener.proto',
  'envoy/config/route/v3/route.proto',
  'envoy/config/endpoint/v3/endpoint.proto',
  'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
  'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto',
  'envoy/extensions/filters/http/router/v3/router.proto',
  'envoy/extensions/filters/http/fault/v3/fault.proto',
  'envoy/extensions/filters/http/cors/v3/cors.proto',
  'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
  'envoy/extensions/transport_sockets/tls/v3/tls.proto',
  'envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto',
]

describe('messages of the API of Envoy', function () {
  this.timeout(20_000)
  const found = new Map<string, ProtoMessage>()
  const add = (name: string, message: ProtoMessage): void => {
    found.set(name, message)
    for (const nested of message.nestedType) add(`${name}.${nested.name}`, nested)
  }

  before(() => {
    const loaded = loadSync(filesOf, {
      keepCase: true,
      includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate']
        .map((folder) => join(deps, folder))
        .filter((folder) => existsSync(folder)),
    })
    for (const [name, one] of Object.entries(loaded))
      if ('type' in one && 'field' in (one.type as object)) add(name, one.type as unknown as ProtoMessage)
  })

  it('have the numbers and kinds that the .proto files say', () => {
    const wrong: string[] = []
    for (const [name, { byName }] of messages) {
      const proto = found.get(name)
      if (proto === undefined) {
        wrong.push(`${name}: no such message`)
        continue
      }
      for (const form of byName.values()) {
        const field = proto.field.find((one) => one.name === form.name)
        if (field === undefined) wrong.push(`${name}.${form.name}: no such field`)
        else wrong.push(...differences(`${name}.${form.name}`, form, field, found))
      }
    }
    expect(wrong.join('\n')).to.equal('')
    expect(messages.size).to.be.above(60)
  })

  it('come back as they went', () => {
    const cluster = {
      name: 'outbound|||orders',
      type: 'EDS',
      eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' }, service_name: 'orders' },
      connect_timeout: 1250,
      lb_policy: 'LEAST_REQUEST',
      least_request_lb_config: { choice_count: 2 },
      common_lb_config: { healthy_panic_threshold: { value: 12.5 } },
      metadata: { filter_metadata: { hostmesh: { a: 'b', n: 1.5, yes: true, list: ['x', null], deep: { c: 'd' } } } },
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
          explicit_http_config: { http2_protocol_options: {} },
        },
      },
    }
    const name = 'envoy.config.cluster.v3.Cluster'
    expect(JSON.parse(JSON.stringify(decodeMessage(name, encodeMessage(name, cluster))))).to.deep.equal(cluster)
  })

  it('are refused with a field that is not written down, and tell whoever reads one', () => {
    expect(() => encodeMessage('envoy.config.cluster.v3.Cluster', { nmae: 'x' })).to.throw('has no field nmae')
    const unknown: string[] = []
    const bytes = Buffer.concat([
      encodeMessage('envoy.config.cluster.v3.Cluster', { eds_cluster_config: {} }),
      Buffer.from([0xf8, 0x3f, 1]),
    ])
    decodeMessage('envoy.config.cluster.v3.Cluster', bytes, (path, number) => unknown.push(`${path}#${number}`))
    expect(unknown).to.deep.equal(['#1023'])
    expect(() => decodeMessage('envoy.config.cluster.v3.Cluster', Buffer.from([10, 200]))).to.throw(RangeError)
  })

  it('read packed and separate numbers alike', () => {
    const name = 'envoy.config.route.v3.RetryPolicy'
    const apart = encodeMessage(name, { retriable_status_codes: [503, 429] })
    const packed = Buffer.from([7 * 8 + 2, 4, 0xf7, 3, 0xad, 3])
    for (const bytes of [apart, packed])
      expect(decodeMessage(name, bytes)).to.deep.equal({ retriable_status_codes: [503, 429] })
  })
})

const scalarTypes: Readonly<Record<string, readonly string[]>> = {
  string: ['TYPE_STRING'],
  bytes: ['TYPE_BYTES'],
  bool: ['TYPE_BOOL'],
  uint32: ['TYPE_UINT32', 'TYPE_INT32', 'TYPE_UINT64', 'TYPE_INT64'],
  double: ['TYPE_DOUBLE'],
}
const wrapperTypes: Readonly<Record<string, readonly string[]>> = {
  uint32: ['UInt32Value', 'UInt64Value'],
  bool: ['BoolValue'],
  double: ['DoubleValue'],
}

function differences(
  path: string,
  { number, count, kind }: FieldForm,
  field: ProtoField,
  all: ReadonlyMap<string, ProtoMessage>,
): string[] {
  const wrong: string[] = []
  if (field.number !== number) wrong.push(`${path}: number ${number}, not ${field.number}`)
  const isMany = field.label === 'LABEL_REPEATED'
  if (isMany !== (count !== 'one')) wrong.push(`${path}: ${field.label}`)
  const entry = count === 'map' ? entryOf(path, field, all) : field
  if (entry === undefined) return [...wrong, `${path}: no map`]
  const type = entry.typeName.replace(/^\.?/, '')
  const fits = ((): boolean => {
    switch (kind.is) {
      case 'scalar':
        return scalarTypes[kind.scalar]!.includes(entry.type)
      case 'wrapper':
        return wrapperTypes[kind.scalar]!.some((one) => type.endsWith(one))
      case 'duration':
        return type.endsWith('Duration')
      case 'struct':
        return type.endsWith('Struct')
      case 'any':
        return type.endsWith('Any')
      case 'enum':
        return entry.type === 'TYPE_ENUM'
      case 'message':
        return entry.type === 'TYPE_MESSAGE' && kind.name.endsWith(type.slice(type.lastIndexOf('.') + 1))
    }
  })()
  if (!fits) wrong.push(`${path}: ${JSON.stringify(kind)} against ${entry.type} ${entry.typeName}`)
  return wrong
}

function entryOf(path: string, field: ProtoField, all: ReadonlyMap<string, ProtoMessage>): ProtoField | undefined {
  const owner = path.slice(0, path.lastIndexOf('.'))
  const short = field.typeName.slice(field.typeName.lastIndexOf('.') + 1).toLowerCase()
  const entry = all.get(owner)?.nestedType.find(({ name }) => name.toLowerCase() === short)
  return entry?.field.find(({ name }) => name === 'value')
}
