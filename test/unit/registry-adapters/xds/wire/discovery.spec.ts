import { expect } from 'chai'
import { message } from '../../../../../contracts/envoy-api/protobuf.ts'
import { decodeResponse } from '../../../../../registry-adapters/xds/wire/discovery.ts'

const wrapperUrl = 'type.googleapis.com/envoy.service.discovery.v3.Resource'
const clusterUrl = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
const packed = (url: string, bytes: Buffer): Buffer => message([1, url], [2, bytes])
const wrapped = (any: Buffer): Buffer => packed(wrapperUrl, message([2, any]))

describe('a response of a control plane', () => {
  it('has its resources as they are, or wrapped once', () => {
    const cluster = message([1, 'orders'])
    const any = packed(clusterUrl, cluster)
    const { resources } = decodeResponse(message([2, [any, wrapped(any)]], [4, clusterUrl]))
    expect(resources.map(String)).to.deep.equal([String(cluster), String(cluster)])
  })

  it('that wraps a resource ever deeper costs no more than its own bytes', () => {
    let any = packed(clusterUrl, Buffer.alloc(1024 * 1024))
    for (let depth = 0; depth < 50; depth++) any = wrapped(any)
    const bytes = message([2, any], [4, clusterUrl])
    const [resource] = decodeResponse(bytes).resources
    // a part of what came, of which one wrapping is off
    expect(resource!.buffer).to.equal(bytes.buffer)
    expect(bytes.length - resource!.length).to.be.within(1, 400)
  })
})
