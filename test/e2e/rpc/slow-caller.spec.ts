/** A caller that asks and does not read: its connection ends at the bound, and nobody else notices. */
import net from 'node:net'
import { expect } from 'chai'

import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { closing } from '../../support/closing.ts'
import { boltFrame, boltRequest } from '../../support/rpc/bolt-frames.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../support/rpc/far-sides.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const codec = new BoltCodec()
const requests = 1000
/** Twice the bound, with what kernels hold beside it. */
const large = boltFrame({ type: 0, className: 'R', content: Buffer.alloc(40_000, 'x') })
const small = boltFrame({ type: 0, className: 'R' })

describe('a caller in private RPC that does not read its replies', () => {
  let mesh: StartedWorker
  let application: RpcApplication

  before(async () => {
    const held: ((reply: Buffer) => void)[] = []
    application = await startApplication(codec, ({ bytes }) => {
      if (!bytes.includes('large')) return Buffer.from(small)
      return new Promise<Buffer>((resolve) => {
        held.push(resolve)
        if (held.length === requests) for (const answer of held) answer(Buffer.from(large))
      })
    })
    const endpoints = [{ address: '127.0.0.1', port: application.port }]
    const pool = { ...defaultTrafficPolicy.pool, maxRequests: requests * 2, maxPending: requests * 2 }
    mesh = await startWorker({
      services: [{ name: 'orders', protocol: 'bolt' as RpcProtocol, endpoints, policy: { pool } }],
      rpc: { bolt: { address: '127.0.0.1', port: 0 } },
    })
  })

  after(async () => {
    mesh.stop()
    await application.close()
  })

  it('is ended at 16 MiB, told once and counted once', async () => {
    const neighbour = await RpcCaller.connect(codec, mesh.port('bolt'))
    const asked = boltRequest('orders', 'large', { timeoutMs: 60_000 })
    const stalled = net.connect(mesh.port('bolt'), '127.0.0.1')
    stalled.on('error', () => {})
    stalled.pause()
    stalled.write(Buffer.concat(Array.from({ length: requests }, () => asked)))
    await eventually(() => mesh.metric('hostmesh_stalled_callers_total') > 0)
    stalled.resume()
    await closing(stalled)
    expect(mesh.metric('hostmesh_stalled_callers_total')).to.equal(1)
    expect(mesh.metric('hostmesh_rpc_limits_total')).to.equal(0)
    expect(mesh.logged.filter((line) => line.includes('does not read its replies'))).to.have.length(1)
    expect((await neighbour.call(boltRequest('orders', 'small'))).frame.status).to.equal(200)
    neighbour.close()
  })
})
