/** What rules of HTTP do for requests in private RPC, each of them through sockets: time, faults, limits, breaker. */
import { expect } from 'chai'

import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { BoltStatus } from '../../../rpc/bolt/layout.ts'
import { boltFrame, boltRequest } from '../../support/rpc/bolt-frames.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import type { Replied, RpcApplication, Served } from '../../support/rpc/far-sides.ts'
import { eventually } from '../../support/worker/eventually.ts'
import type { ServicePlan } from '../../support/worker/snapshots.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const codec = new BoltCodec()
const origin = { kind: 'default', name: '', path: '' } as const
const good = boltFrame({ type: 0, className: 'R', content: Buffer.from('done') })

describe('a request in private RPC', () => {
  let mesh: StartedWorker
  let caller: RpcCaller
  const applications: RpcApplication[] = []

  async function start(
    answers: readonly ((served: Served) => Buffer | undefined | Promise<Buffer>)[],
    plan: Partial<ServicePlan>,
  ): Promise<void> {
    for (const answer of answers) applications.push(await startApplication(codec, answer))
    const endpoints = applications.map(({ port }) => ({ address: '127.0.0.1', port }))
    mesh = await startWorker({
      services: [{ name: 'orders', protocol: 'bolt' as RpcProtocol, endpoints, ...plan }],
      rpc: { bolt: { address: '127.0.0.1', port: 0 } },
    })
    caller = await RpcCaller.connect(codec, mesh.port('bolt'))
  }

  afterEach(async () => {
    caller.close()
    mesh.stop()
    for (const application of applications.splice(0)) await application.close()
  })

  const ask = (): Promise<Replied> => caller.call(boltRequest('orders', 'place', { timeoutMs: 60_000 }))
  const errorOf = ({ bytes, frame }: Replied): string | undefined => codec.attribute(bytes, 0, frame, 'x-mesh-error')
  const answers = (): Buffer => Buffer.from(good)
  const isSilent = (): undefined => undefined
  const roundRobin = { loadBalancer: { kind: 'round-robin' } } as const
  const received = (): number[] => applications.map(({ requests }) => requests.length)

  it('is hedged where a rule says that it may be carried out twice, and has the reply of the other endpoint', async () => {
    await start([isSilent, answers], {
      policy: roundRobin,
      route: { hedge: { afterMs: 20, maxExtra: 1, all: true } },
    })
    for (let call = 0; call < 4; call++) expect((await ask()).frame.status).to.equal(200)
    const [silent, living] = received() as [number, number]
    expect(silent, 'those that came to the silent one went on').to.be.within(1, 4)
    expect(living).to.equal(4)
  })

  it('meets an open breaker behind failures that its protocol tells, and no endpoint sees it', async () => {
    const broken = (): Buffer => boltFrame({ type: 0, className: 'R', status: BoltStatus.serverException })
    const breaker = { windowMs: 10_000, minimumRequests: 5, failureShare: 0.5, openMs: 60_000 }
    await start([broken], { policy: { breaker: breaker } })
    const errors: (string | undefined)[] = []
    for (let call = 0; call < 7; call++) errors.push(errorOf(await ask()))
    expect(errors).to.deep.equal([
      ...Array<undefined>(5).fill(undefined),
      'E_BALANCE_BREAKER_OPEN',
      'E_BALANCE_BREAKER_OPEN',
    ])
    expect(received()).to.deep.equal([5])
  })

  it('is delayed on purpose', async () => {
    const delay = { kind: 'fault-delay', share: 1, fixedMs: 100 } as const
    await start([answers], { route: { filters: [delay] } })
    const from = performance.now()
    expect((await ask()).frame.status).to.equal(200)
    expect(performance.now() - from).to.be.at.least(99)
  })

  it('is failed on purpose with an error reply, and no endpoint sees it', async () => {
    await start([answers], { route: { filters: [{ kind: 'fault-abort', share: 1, status: 503 }] } })
    const reply = await ask()
    expect(reply.frame.status).to.equal(503)
    expect(errorOf(reply)).to.equal('E_FAULT_INJECTED')
    expect(received()).to.deep.equal([0])
  })

  it('beyond a rate limit has an error reply, and no endpoint sees it', async () => {
    const tokens = { maxTokens: 2, tokensPerFill: 1, fillIntervalMs: 3_600_000 }
    const limit = { kind: 'rate-limit', name: 'two', ...tokens, per: 'route', status: 429, origin } as const
    await start([answers], { route: { filters: [limit] } })
    const replies = await Promise.all(Array.from({ length: 5 }, ask))
    expect(replies.map(errorOf).filter((code) => code === 'E_RATE_LIMITED')).to.have.length(3)
    expect(received()).to.deep.equal([2])
  })

  it('beyond the limit of its destination is refused at once, and those that run are answered', async () => {
    const held: ((reply: Buffer) => void)[] = []
    const pool = { ...defaultTrafficPolicy.pool, maxRequests: 2 }
    await start([() => new Promise((resolve) => held.push(resolve))], { policy: { pool } })
    const codes: (string | undefined)[] = []
    const asked = Array.from({ length: 5 }, () => ask().then((reply) => void codes.push(errorOf(reply))))
    await eventually(() => codes.length === 3 && held.length === 2)
    expect(codes).to.deep.equal(Array(3).fill('E_BALANCE_OVERFLOW'))
    for (const answer of held) answer(answers())
    await Promise.all(asked)
    expect(codes.slice(3)).to.deep.equal([undefined, undefined])
  })

  it('ends at the time of its route', async () => {
    await start([isSilent], { route: { timeoutMs: 100 } })
    expect(errorOf(await ask())).to.equal('E_UPSTREAM_TIMEOUT')
  })
})
