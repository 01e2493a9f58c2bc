import { expect } from 'chai'
import type { AgentConfig } from '../../../../agent/control/config/types.ts'
import type { AdminClient } from '../../../../cli/admin-client.ts'
import type { Facts, Pages } from '../../../../cli/doctor/facts.ts'
import { requestFindings } from '../../../../cli/doctor/request.ts'
import { changeProtocol, startHostileServer } from '../../../support/hostile-server.ts'

describe('the one real request of the doctor', () => {
  it('is bad where the protocol is changed under it', async () => {
    const server = await startHostileServer(changeProtocol)
    const config = { outbound: { http: { host: '127.0.0.1', port: server.port } } } as AgentConfig
    const admin = { get: () => Promise.reject(new Error('nobody')) } as unknown as AdminClient
    const facts = { admin, command: (words: string) => `hostmesh ${words}` } as Facts
    const found = await requestFindings('orders', '/', config, { ports: [] } as unknown as Pages, facts)
    expect(found.at(-1)).to.include({ state: 'bad', says: 'orders: the connection ended without an answer' })
    await server.stop()
  })
})
