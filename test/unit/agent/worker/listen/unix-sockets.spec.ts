import { lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'

import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import { UnixSockets } from '../../../../../native/unix-sockets.ts'
import { wantedTransports } from '../../../../../agent/worker/transport/select-transports.ts'
import type { RpcProtocol } from '../../../../../contracts/protocols.ts'
import { BoltCodec } from '../../../../../rpc/bolt/bolt.ts'
import { boltFrame, boltRequest } from '../../../../support/rpc/bolt-frames.ts'
import { RpcCaller, startApplication } from '../../../../support/rpc/far-sides.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const name = 'outbound-socket'
const request = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'

class Caller {
  text = ''
  private readonly socket

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true })
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')))
  }

  async ask(): Promise<void> {
    const before = this.text.length
    this.socket.write(request)
    await eventually(() => this.text.indexOf('\r\n\r\nok', before) >= 0)
  }

  close(): void {
    this.socket.destroy()
  }
}

for (const wantedTransport of wantedTransports.filter((one) => one !== 'auto')) {
  describe(`a unix socket for local callers, ${wantedTransport}`, () => {
    let folder: string
    let path: string
    let backend: RecordingBackend
    const workers: StartedWorker[] = []
    const callers: Caller[] = []

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'hostmesh-unix-'))
      path = join(folder, 'out.sock')
      backend = await RecordingBackend.start()
    })

    afterEach(async () => {
      for (const caller of callers.splice(0)) caller.close()
      for (const started of workers.splice(0)) started.stop()
      await backend.close()
      rmSync(folder, { recursive: true })
    })

    const spec = (traits: Partial<ListenerSpec> = {}): ListenerSpec =>
      ({
        name,
        kind: 'shared-http',
        address: path,
        port: 0,
        proxyProtocol: 'off',
        access: { mode: 0o600 },
        ...traits,
      }) as ListenerSpec

    async function worker(traits: Partial<ListenerSpec> = {}, listensAtPaths = true): Promise<StartedWorker> {
      const services = [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }] }]
      const started = await startWorker({ services }, { wantedTransport, listensAtPaths })
      workers.push(started)
      await started.change({ listeners: { [name]: spec(traits) } })
      return started
    }

    function caller(): Caller {
      const made = new Caller(path)
      callers.push(made)
      return made
    }

    it('serves who may open it, with the mode that was asked for, and knows the user', async () => {
      const started = await worker({ access: { mode: 0o660, uid: process.getuid!(), gid: process.getgid!() } })
      expect(lstatSync(path).mode & 0o777).to.equal(0o660)
      const one = caller()
      await one.ask()
      await one.ask()
      expect(backend.requests).to.have.length(2)
      const [row] = (started.worker.answer({ kind: 'connections', filter: {} }) as { connections: { peer: string }[] })
        .connections
      expect(JSON.stringify(row)).to.include('127.0.0.1')
      await started.change({ listeners: { [name]: spec({ access: { mode: 0o644 } }) } })
      expect(lstatSync(path).mode & 0o777, 'a reload').to.equal(0o644)
      await one.ask()
    })

    it('whose access cannot be changed keeps what it has and says why, and holds up no other listener', async () => {
      const started = await worker()
      rmSync(path)
      writeFileSync(path, '', { mode: 0o600 })
      const access = { mode: 0o666 }
      await started.change({ listeners: { [name]: spec({ access }) } })
      await eventually(() => started.worker.listeners.problems().length === 1)
      expect(started.worker.listeners.problems()[0]!.code).to.equal('E_LISTEN_IN_USE')
      expect(lstatSync(path).mode & 0o777, 'of somebody else').to.equal(0o600)
      rmSync(path)
      const next = { ...spec(), name: 'next', address: `${path}-next` }
      await started.change({ listeners: { next, [name]: spec({ access }) } })
      expect(lstatSync(next.address).isSocket()).to.equal(true)
      await eventually(() => started.worker.listeners.problems().length === 0)
      expect(lstatSync(path).mode & 0o777, 'made again').to.equal(0o666)
      await caller().ask()
    })

    it('carries private RPC', async () => {
      const codec = new BoltCodec()
      const application = await startApplication(codec, () => boltFrame({ type: 0, className: 'R' }))
      const protocol = 'bolt' as RpcProtocol
      const endpoints = [{ address: '127.0.0.1', port: application.port }]
      const started = await startWorker(
        { services: [{ name: 'shop.Orders', protocol, endpoints }] },
        { wantedTransport },
      )
      workers.push(started)
      const listener = { ...spec(), kind: 'shared-rpc', protocol } as ListenerSpec
      await started.change({ listeners: { [name]: listener } })
      const rpc = await RpcCaller.connect(codec, path)
      const calls = Array.from({ length: 20 }, () => rpc.call(boltRequest('shop.Orders', 'place')))
      expect(await Promise.all(calls)).to.have.length(20)
      expect(application.requests).to.have.length(20)
      rpc.close()
      await application.close()
    })

    it('of one application makes whoever connects that application', async () => {
      const source = { app: 'cart', namespace: 'public', labels: { app: 'cart' } }
      const started = await worker({ source })
      await caller().ask()
      expect(started.metric('istio_requests_total', 'cart')).to.equal(1)
    })

    it('takes the place of what a dead process left, and of nothing else', async () => {
      const dead = createServer()
      dead.listen(path)
      await once(dead, 'listening')
      const started = await worker()
      const [problem] = await started.worker.problems()
      expect(problem).to.include({ listener: name, code: 'E_LISTEN_IN_USE' })
      expect(problem!.message).to.include('somebody listens there')
      dead.close()
      writeFileSync(path, 'text')
      const second = await worker()
      expect((await second.worker.problems())[0]!.message).to.include('a file that is no socket')
      rmSync(path)
      // What is left of a process that was killed.
      loadNative().native!.close(UnixSockets.open()!.listener(path, { mode: 0o600 }, 1))
      expect(lstatSync(path).isSocket()).to.equal(true)
      const third = await worker()
      expect(await third.worker.problems()).to.deep.equal([])
      await caller().ask()
    })

    it('is gone with its listener, and its file too', async () => {
      const started = await worker()
      await caller().ask()
      await started.change({ listeners: { [name]: null } })
      expect(() => lstatSync(path)).to.throw('ENOENT')
    })

    // The public interface tells no descriptors, so nothing of it moves, as with ports.
    const moving =
      wantedTransport === 'public' ? [] : ['goes on in another worker by its descriptor, with its connections']
    for (const title of moving)
      it(title, async () => {
        const { native } = loadNative()
        const first = await worker()
        const one = caller()
        await one.ask()
        const copy = native!.duplicate(first.worker.listeners.get(name)!.socket.descriptor)
        const services = [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }] }]
        const second = await startWorker({ services }, { wantedTransport })
        workers.push(second)
        second.worker.listeners.inherit(name, path, 0, copy)
        await second.change({ listeners: { [name]: spec({ access: { mode: 0o640 } }) } })
        expect(await second.worker.problems()).to.deep.equal([])
        expect(lstatSync(path).mode & 0o777, 'as the other worker was told').to.equal(0o640)
        first.worker.stopAccepting()
        const [connection] = first.worker.connections.list()
        const moved = connection!.detach(native!)!
        second.worker.connections.adopt(JSON.parse(JSON.stringify(moved.state)), moved.descriptors)
        await one.ask()
        expect(second.metric('istio_requests_total')).to.equal(1)
        await caller().ask()
        expect(first.metric('istio_requests_total')).to.equal(1)
      })

    it('is listened at by one worker of a generation, and the others take what it gives away', async () => {
      const other = await worker({}, false)
      expect(() => lstatSync(path)).to.throw('ENOENT')
      expect(await other.worker.problems()).to.deep.equal([])
      expect(other.worker.listeners.find(name)?.spec.address).to.equal(path)
    })
  })
}
