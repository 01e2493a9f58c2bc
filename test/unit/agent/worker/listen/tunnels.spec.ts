import { expect } from 'chai'
import type { LimitsSpec } from '../../../../../contracts/snapshot.ts'
import { freePort } from '../../../../support/free-port.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import type { ServicePlan } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const shared = { address: '127.0.0.1', tunnels: true } as const
const connectTo = (target: string): string => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`

describe('a tunnel', () => {
  const { native } = loadNative()
  let backend: RecordingBackend
  const started: StartedWorker[] = []
  const callers: RawCaller[] = []

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    backend.onPiece = () => true
  })
  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    for (const worker of started.splice(0)) worker.stop()
    await backend.close()
  })

  async function begin(more: Partial<ServicePlan> = {}, limits: Partial<LimitsSpec> = {}, port = 0) {
    const services = [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }], ...more }]
    const worker = await startWorker(
      { services, shared: { ...shared, port }, limits },
      { closeDescriptor: (fd) => native!.close(fd) },
    )
    started.push(worker)
    return worker
  }

  async function call(worker: StartedWorker, text: string): Promise<RawCaller> {
    const caller = await RawCaller.open(worker.port('shared'))
    callers.push(caller)
    caller.send(text)
    return caller
  }

  it('moves to another worker, which knows what it is', async () => {
    const [old, next] = [await begin(), await begin()]
    const caller = await call(old, `${connectTo('orders:80')}one `)
    await eventually(() => backend.connections[0]?.bytes.toString() === 'one ')
    const [pair] = old.worker.connections.list()
    const detached = pair!.detach(native!)!
    expect(detached.state).to.deep.include({ tunnel: { kind: 'CONNECT', target: 'orders:80', port: 80 } })
    next.worker.connections.adopt(JSON.parse(JSON.stringify(detached.state)), detached.descriptors)
    caller.send('two')
    await eventually(() => backend.connections[0]!.bytes.toString() === 'one two')
    backend.connections[0]!.socket.write('back')
    await eventually(() => caller.text.endsWith('back'))
  })

  it('goes to the port that a rule declares for the service, and to no other one', async () => {
    const destinations = [{ service: keyOf('orders'), weight: 1, ports: [443], hasOnlyPorts: true }]
    const worker = await begin({
      tcpRoute: { destinations },
      endpoints: [{ address: '127.0.0.1', port: backend.port, metadata: { 'hostmesh.service-ports': '443' } }],
    })
    const good = await call(worker, connectTo('orders:443'))
    await eventually(() => good.text.startsWith('HTTP/1.1 200 '))
    const bad = await call(worker, connectTo('orders:22'))
    await eventually(() => bad.text.startsWith('HTTP/1.1 503 '))
    expect(backend.connections).to.have.length(1)
  })

  it('does not lead back into a port of this agent, though HTTP to its service may', async () => {
    const port = await freePort()
    const circle = await begin({ endpoints: [{ address: '127.0.0.1', port }] }, {}, port)
    const caller = await call(circle, connectTo('orders:80'))
    await eventually(() => caller.text.includes('E_CONNECT_FAILED'))
    expect(circle.metric('hostmesh_loop_dials_total')).to.be.above(0)
    expect(circle.metric('hostmesh_tunnels_total')).to.equal(1)
    expect(circle.metric('hostmesh_tunnel_refusals_total')).to.equal(1)
  })

  it('to what can be no name of a service is refused at once, and nobody is asked', async () => {
    const worker = await begin()
    const long = await call(worker, connectTo(`${'a'.repeat(9000)}:80`))
    await eventually(() => long.text.includes('E_ROUTE_UNKNOWN_SERVICE'))
    expect(worker.asked).to.deep.equal([])
    const unknown = await call(worker, connectTo('ledger:80'))
    await eventually(() => worker.asked.length === 1)
    expect(worker.asked).to.deep.equal(['ledger'])
    unknown.close()
  })

  for (const [what, text, answer] of [
    ['SOCKS5 that is not CONNECT', '\x05\x01\0\x05\x02\0\x01\x7f\0\0\x01\0\x50', '\x05\0\x05\x07'],
    ['CONNECT that leads nowhere', connectTo('orders:22'), 'HTTP/1.1 503 '],
  ] as const) {
    it(`is within the bounds of connections as long as a caller keeps its refusal open: ${what}`, async () => {
      const destinations = [{ service: keyOf('orders'), weight: 1, ports: [443], hasOnlyPorts: true }]
      const worker = await begin({ tcpRoute: { destinations } }, { maxConnections: 10, drainTimeoutMs: 600_000 })
      const refused = await Promise.all(Array.from({ length: 30 }, () => call(worker, text)))
      await eventually(() => refused.every((caller) => caller.text.startsWith(answer) || caller.isOver))
      // half of the places, and from there on the quarter of one caller
      expect(refused.filter((caller) => caller.text.startsWith(answer))).to.have.length(7)
      expect(worker.worker.acceptor.connections).to.equal(7)
      for (const caller of refused) caller.close()
      await eventually(() => worker.worker.acceptor.connections === 0)
    })
  }

  it('that is begun and not asked for ends in time; a caller that says nothing is left to HTTP', async () => {
    const worker = await begin({}, { headTimeoutMs: 100 })
    const half = await call(worker, 'CONNECT orders:80 HTTP/1.1\r\n')
    const socks = await call(worker, '\x05')
    const silent = await RawCaller.open(worker.port('shared'))
    callers.push(silent)
    await eventually(() => half.isOver && socks.isOver)
    silent.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    await eventually(() => backend.connections.some(({ bytes }) => bytes.toString().startsWith('GET / ')))
  })
})
