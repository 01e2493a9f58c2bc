/** Clients that nobody here wrote, against the embedded registry and against the face. */
import { expect } from 'chai'
import { systemClock } from '../../../contracts/clock.ts'
import type { EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import type { NacosFace } from '../../../registry-adapters/nacos/face/index.ts'
import { createNacosFace } from '../../../registry-adapters/nacos/face/index.ts'
import { freePort } from '../../support/free-port.ts'
import { FakeMesh } from '../../support/nacos-clients/fake-mesh.ts'
import type { Launch } from '../../support/nacos-clients/foreign-client.ts'
import { ForeignClient } from '../../support/nacos-clients/foreign-client.ts'
import { goClient, javaClient, npmClient, rustClient } from '../../support/nacos-clients/launches.ts'
import { eventually } from '../../support/registry-listener.ts'

interface Subject {
  readonly name: string
  readonly launch: () => Promise<Launch>
  /** Its instances live by its connection, not by heartbeats. */
  readonly isGrpc: boolean
  /** Its subscribers hear that the last instance is gone; npm `nacos` keeps the last non-empty list. */
  readonly hearsEmpty: boolean
}

const subjects: readonly Subject[] = [
  { name: 'npm nacos', launch: npmClient, isGrpc: false, hearsEmpty: false },
  { name: 'the Rust client', launch: rustClient, isGrpc: true, hearsEmpty: true },
  { name: 'the Java client 1.4.7', launch: () => javaClient('1.4.7'), isGrpc: false, hearsEmpty: true },
  { name: 'the Java client 2.5.1', launch: () => javaClient('2.5.1'), isGrpc: true, hearsEmpty: true },
  { name: 'the Java client 3.1.1', launch: () => javaClient('3.1.1'), isGrpc: true, hearsEmpty: true },
  { name: 'the Go SDK', launch: goClient, isGrpc: true, hearsEmpty: true },
]

/** For a `before` hook: builds the client once, or skips the suite by name. */
async function launchOf(context: Mocha.Context, subject: Subject): Promise<Exclude<Launch, { missing: string }>> {
  context.timeout(300_000)
  const launch = await subject.launch()
  if (!('missing' in launch)) return launch
  console.log(`skipped: ${launch.missing}`)
  return context.skip()
}

for (const subject of subjects) {
  describe(`${subject.name} with the embedded registry`, function () {
    this.timeout(120_000)
    let launch: Exclude<Launch, { missing: string }>
    let registry: EmbeddedRegistry | undefined
    const clients: ForeignClient[] = []
    const client = (password = 'right'): ForeignClient => {
      const made = new ForeignClient(launch, registry!.address, 'app', password)
      clients.push(made)
      return made
    }

    before(async function () {
      launch = await launchOf(this, subject)
      registry = await startEmbeddedRegistry({
        mergeWindowMs: 20,
        cacheMillis: 200,
        users: [{ username: 'app', password: 'right' }],
      })
    })
    after(async () => {
      await Promise.all(clients.map((one) => one.close()))
      await registry?.close()
    })

    it('registers, is pushed to a subscriber, is found, and goes on purpose', async () => {
      const [provider, watcher, other] = [client(), client(), client()]
      await other.ask('register', 'orders', '10.0.0.9', 9, 'zone=z1')
      await watcher.ask('subscribe', 'orders')
      await watcher.event('service', 'orders', '10.0.0.9:9')
      await provider.ask('register', 'orders', '10.0.0.1', 8080, 'zone=z1')
      await watcher.event('service', 'orders', '10.0.0.1:8080,10.0.0.9:9')
      expect(await provider.ask('list', 'orders')).to.equal('10.0.0.1:8080,10.0.0.9:9')
      watcher.forget()
      await provider.ask('deregister', 'orders', '10.0.0.1', 8080)
      await watcher.event('service', 'orders', '10.0.0.9:9')
      if (!subject.hearsEmpty) return
      await other.ask('deregister', 'orders', '10.0.0.9', 9)
      await watcher.event('service', 'orders', '')
    })

    it('reads, publishes and hears of changed configuration', async () => {
      const [writer, reader] = [client(), client()]
      expect(await reader.ask('get', 'app.yaml', 'conf')).to.equal('')
      expect(await writer.ask('publish', 'app.yaml', 'conf', 'a: 1')).to.equal('true')
      expect(await reader.ask('get', 'app.yaml', 'conf')).to.equal('a: 1')
      const before = registry!.status()
      await reader.ask('listen', 'app.yaml', 'conf')
      await eventually(() => {
        const { listenedDocuments, parkedPolls } = registry!.status()
        return listenedDocuments > before.listenedDocuments || parkedPolls > before.parkedPolls
      }, 'the client to listen')
      const content = await untilHeard(reader, async (text) => {
        expect(await writer.ask('publish', 'app.yaml', 'conf', text)).to.equal('true')
      })
      expect(await reader.ask('get', 'app.yaml', 'conf')).to.equal(content)
    })

    it('is refused with a wrong password, and registers nothing', async () => {
      const failure = await client('wrong')
        .ask('register', 'secret', '10.0.0.1', 8080, '')
        .then(
          () => undefined,
          (error: unknown) => error,
        )
      expect(failure).to.be.instanceOf(Error)
      expect(await client().ask('list', 'secret')).to.equal('')
    })

    if (subject.isGrpc)
      it('loses its instances with its connection', async () => {
        const [provider, watcher] = [client(), client()]
        await watcher.ask('subscribe', 'stock')
        await provider.ask('register', 'stock', '10.0.0.1', 8080, '')
        await watcher.event('service', 'stock', '10.0.0.1:8080')
        watcher.forget()
        await provider.kill()
        await watcher.event('service', 'stock', '')
      })
  })

  describe(`${subject.name} with the face of the mesh`, function () {
    this.timeout(120_000)
    let launch: Exclude<Launch, { missing: string }>
    let face: NacosFace | undefined
    let mesh: FakeMesh
    const clients: ForeignClient[] = []
    const address = (): string => `127.0.0.1:${face!.status()!.port}`
    const client = (): ForeignClient => {
      const made = new ForeignClient(launch, address(), 'anyone', 'anything')
      clients.push(made)
      return made
    }

    before(async function () {
      launch = await launchOf(this, subject)
    })
    beforeEach(async () => {
      mesh = new FakeMesh()
      face = createNacosFace(
        { host: '127.0.0.1', port: await freePort(), cacheMillis: 200, connectionGraceMs: 100, sweepMs: 50 },
        mesh,
      )
      await face.start()
    })
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((one) => one.close()))
      await face?.close()
    })

    it('finds a service at its localhost port, and hears when that changes', async () => {
      const watcher = client()
      mesh.offer('orders', 20_001)
      await watcher.ask('subscribe', 'orders')
      await watcher.event('service', 'orders', '127.0.0.1:20001')
      expect(await watcher.ask('list', 'orders')).to.equal('127.0.0.1:20001')
      mesh.offer('orders', 20_002)
      await watcher.event('service', 'orders', '127.0.0.1:20002')
      if (!subject.hearsEmpty) return
      watcher.forget()
      mesh.offer('orders', undefined)
      await watcher.event('service', 'orders', '')
    })

    it('is announced with its own port, and taken back on purpose', async () => {
      const provider = client()
      await provider.ask('register', 'orders', '127.0.0.1', 8080, 'version=v2')
      const [application] = mesh.applications.values()
      expect(application).to.deep.include({ address: '127.0.0.1', port: 8080, metadata: { version: 'v2' } })
      expect(application?.service).to.deep.equal({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' })
      await provider.ask('deregister', 'orders', '127.0.0.1', 8080)
      await eventually(() => mesh.applications.size === 0, 'the application to be taken back')
    })

    it('reads, publishes and hears of the configuration of the real server', async () => {
      const reader = client()
      await mesh.config.publish('conf', 'app.yaml', 'a: 1', undefined)
      expect(await reader.ask('get', 'app.yaml', 'conf')).to.equal('a: 1')
      await reader.ask('listen', 'app.yaml', 'conf')
      await eventually(() => mesh.config.watched.length > 0, 'the client to listen')
      await untilHeard(reader, (text) => mesh.config.publish('conf', 'app.yaml', text, undefined))
      expect(await reader.ask('publish', 'other.yaml', 'conf', 'b: 1')).to.equal('true')
      expect(mesh.config.documents.get('conf other.yaml')?.content).to.equal('b: 1')
    })

    it('stays registered and subscribed when the face restarts', async () => {
      const [provider, watcher] = [client(), client()]
      mesh.offer('stock', 20_001)
      await watcher.ask('subscribe', 'stock')
      await watcher.event('service', 'stock', '127.0.0.1:20001')
      await provider.ask('register', 'orders', '127.0.0.1', 8080, '')
      const { port, grpcPort } = face!.status()!
      await face!.close()
      face = createNacosFace(
        {
          host: '127.0.0.1',
          port,
          grpcPort,
          cacheMillis: 200,
          connectionGraceMs: 100,
          reconnectGraceMs: 60_000,
          sweepMs: 50,
        },
        mesh,
      )
      await face.start()
      mesh.offer('stock', 20_003)
      await watcher.event('service', 'stock', '127.0.0.1:20003')
      if (subject.isGrpc) await eventually(() => face!.status()!.connections >= 2, 'both clients to come back', 20_000)
      expect(mesh.story).to.deep.equal(['+ public/DEFAULT_GROUP@@orders 127.0.0.1:8080'])
      // It is the client that holds the registration again: it can take it back, as soon as it knows itself that it is
      // connected.
      let refusal = ''
      await eventually(
        async () => {
          await provider
            .ask('deregister', 'orders', '127.0.0.1', 8080)
            .catch((error: unknown) => (refusal = String(error)))
          return mesh.applications.size === 0
        },
        () => `the client to take its registration back; ${refusal}`,
        20_000,
      )
    })
  })
}

describe('all foreign clients together', function () {
  this.timeout(120_000)

  it('stay registered past the heartbeat time-out of a clock that runs twice as fast', async function () {
    const launches = await Promise.all(subjects.map((subject) => subject.launch()))
    const missing = launches.find((launch) => 'missing' in launch)
    if (missing !== undefined) {
      console.log(`skipped: ${missing.missing}`)
      return this.skip()
    }
    const startedAt = Date.now()
    const now = (): number => startedAt + (Date.now() - startedAt) * 2
    const registry = await startEmbeddedRegistry({
      mergeWindowMs: 20,
      sweepMs: 100,
      deps: { clock: { ...systemClock, wall: now, monotonic: now } },
    })
    const clients = launches.map((launch) => {
      if ('missing' in launch) throw new Error(launch.missing)
      return new ForeignClient(launch, registry.address)
    })
    try {
      await Promise.all(clients.map((client, index) => client.ask('register', 'orders', '10.0.0.1', 8000 + index, '')))
      const registeredAt = now()
      await eventually(() => now() - registeredAt > 24_000, '24 s of the registry to pass', 15_000)
      expect(await clients[0]!.ask('list', 'orders')).to.equal(
        clients.map((_, index) => `10.0.0.1:${8000 + index}`).join(),
      )
    } finally {
      await Promise.all(clients.map((client) => client.close()))
      await registry.close()
    }
  })
})

/**
 * Changes a document until the client tells of a change; answers the content that it told of. The Go SDK forgets a
 * change that is announced while it still works on the answer to its own question before (2.3.2, `executeConfigListen`
 * writes back a copy of what it knew), also with a server of Nacos: the next change is heard.
 */
async function untilHeard(reader: ForeignClient, change: (content: string) => Promise<unknown>): Promise<string> {
  for (let number = 2; ; number++) {
    const content = `a: ${number}`
    await change(content)
    try {
      await reader.eventWithin(10_000, 'config', 'app.yaml', content)
      return content
    } catch (error) {
      if (number === 4) throw error
    }
  }
}
