import { expect } from 'chai'
import { protocolTable } from '../../../../agent/worker/protocol-table.ts'
import { firstProtocol, rpcProtocols } from '../../../../contracts/protocols.ts'

describe('the table of protocols', () => {
  const nothing = { limits: () => ({ maxStreams: 1 }) } as never
  const table = protocolTable(nothing, nothing, nothing, nothing)

  it('begins whatever a listener may speak', () => {
    for (const protocol of ['http', 'http2', 'grpc', 'tcp', ...rpcProtocols] as const)
      expect(table[firstProtocol(protocol)].begin, protocol).to.be.a('function')
  })

  it('moves a pair with both its sockets, everything else with one', () => {
    const sockets = Object.entries(table).map(([name, { sockets: count }]) => [name, count])
    expect(sockets).to.deep.equal([
      ['http1', 1],
      ['http2', 1],
      ['rpc', 1],
      ['tcp', 2],
      ['websocket', 2],
    ])
    expect(table.websocket.begin, 'it comes from an upgrade only').to.equal(null)
  })
})
