/**
 * What `contracts/registry-adapter.ts` means, as a suite that every adapter must pass. An adapter's own spec gives the
 * registry: how to change it from outside, how to cut it off, how to spoil its data.
 */
import { expect } from 'chai'
import type { ServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { ConfigDocument, Registration, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { adaptersUnderTest } from '../support/adapters-under-test.ts'
import { eventually, recordingListener } from '../support/registry-listener.ts'

export interface OutsideInstance {
  readonly address: string
  readonly port: number
  readonly weight?: number
  readonly metadata?: Readonly<Record<string, string>>
}

export interface RegistryUnderTest {
  /** Not started yet; the suite closes it. */
  createAdapter(): RegistryAdapter
  /** Makes this the whole list of the service, by other means than the adapter. */
  put(service: ServiceName, instances: readonly OutsideInstance[]): Promise<void>
  /** Cuts the registry off from every adapter; undefined where that cannot happen. */
  readonly cutOff?: () => Promise<void>
  readonly comeBack?: () => Promise<void>
  /** Puts data there that make no sense for a service that had good ones. */
  readonly spoil?: (service: ServiceName) => Promise<void>
  /** Ids and weights of the instances that others see, enabled ones only. */
  readonly seen?: (
    service: ServiceName,
  ) => Promise<readonly { id: string; weight: number; metadata: Readonly<Record<string, string>> }[]>
  readonly namespace: string
  /** Absent = DEFAULT_GROUP. */
  readonly group?: string
  close(): Promise<void>
}

/** What of the contract an adapter offers; what it does not offer has no test. */
export interface Abilities {
  readonly register: boolean
  readonly config: boolean
  /** The registry can be cut off. */
  readonly cutOff: boolean
  /** Its data can be spoiled. */
  readonly spoil: boolean
  /** It carries addresses, ports and weights only, and does not say which services it has. */
  readonly isPlain?: boolean
  /** False: it does not say which services it has. */
  readonly lists?: false
  /** It is asked, or says something, within seconds also where nothing changes. */
  readonly signsOfLife?: true
}

export function describeRegistryAdapter(
  title: string,
  abilities: Abilities,
  setUp: (context: Mocha.Context) => Promise<RegistryUnderTest>,
): void {
  describe(`registry adapter: ${title}`, function () {
    this.timeout(240_000)
    let registry: RegistryUnderTest
    const { started, freshService, closeAll } = adaptersUnderTest(() => registry, 'compliance')

    before(async function () {
      registry = await setUp(this)
    })

    afterEach(async () => {
      await registry.comeBack?.()
      await closeAll()
    })

    // `before` may have skipped the suite
    after(async () => {
      await (registry as RegistryUnderTest | undefined)?.close()
    })

    const a = { address: '10.1.0.1', port: 8001 }
    const b = { address: '10.1.0.2', port: 8002 }
    const c = { address: '10.1.0.3', port: 8003 }

    it('answers a subscription with the whole list, sorted, with weight, version and zone', async () => {
      const service = freshService()
      await registry.put(service, [{ ...b, weight: 3, metadata: { version: 'v2', zone: 'z1' } }, a])
      const listener = recordingListener()
      started().subscribe(service, listener)
      const set = await listener.untilIds(['10.1.0.1:8001', '10.1.0.2:8002'])
      expect(listener.ids).to.deep.equal(['10.1.0.1:8001', '10.1.0.2:8002'])
      expect(set.service).to.equal(`${service.namespace}/${service.group}@@${service.name}`)
      expect(set.endpoints[0]).to.include({ weight: 1, healthy: true, enabled: true })
      expect(set.endpoints[1]).to.include({ weight: 3 })
      if (abilities.isPlain !== true) {
        expect(set.endpoints[1]).to.include({ version: 'v2' })
        expect(set.endpoints[1]?.locality.zone).to.equal('z1')
      }
      expect(set.confirmedAt).to.be.closeTo(Date.now(), 30_000)
    })

    it('answers a service that nobody knows with an empty set', async () => {
      const listener = recordingListener()
      started().subscribe(freshService(), listener)
      const set = await listener.until(() => true, 'an answer')
      expect(set.endpoints).to.deep.equal([])
    })

    it('never calls a listener synchronously from subscribe', async () => {
      const service = freshService()
      await registry.put(service, [a])
      const adapter = started()
      const first = recordingListener()
      adapter.subscribe(service, first)
      await first.untilIds(['10.1.0.1:8001'])
      const second = recordingListener()
      adapter.subscribe(service, second)
      expect(second.story).to.deep.equal([])
      await second.untilIds(['10.1.0.1:8001'])
    })

    it('tells of an added, a changed and a removed instance, with growing versions', async () => {
      const service = freshService()
      await registry.put(service, [a, b])
      const listener = recordingListener()
      started().subscribe(service, listener)
      await listener.untilIds(['10.1.0.1:8001', '10.1.0.2:8002'])
      await registry.put(service, [a, b, c])
      await listener.untilIds(['10.1.0.1:8001', '10.1.0.2:8002', '10.1.0.3:8003'])
      await registry.put(service, [{ ...a, weight: 7 }, b, c])
      await listener.until((set) => set.endpoints[0]?.weight === 7, 'weight 7')
      await registry.put(service, [{ ...a, weight: 7 }, c])
      await listener.untilIds(['10.1.0.1:8001', '10.1.0.3:8003'])
      const versions = listener.sets.map((set) => set.version)
      expect(versions).to.deep.equal([...new Set(versions)].sort((left, right) => left - right))
    })

    it('tells that the last instance is gone', async () => {
      const service = freshService()
      await registry.put(service, [a])
      const listener = recordingListener()
      started().subscribe(service, listener)
      await listener.untilIds(['10.1.0.1:8001'])
      await registry.put(service, [])
      await listener.untilIds([])
    })

    it('says nothing after unsubscribe returned, and goes on for the others', async () => {
      const service = freshService()
      await registry.put(service, [a])
      const adapter = started()
      const gone = recordingListener()
      const stays = recordingListener()
      const subscription = adapter.subscribe(service, gone)
      adapter.subscribe(service, stays)
      await Promise.all([gone.untilIds(['10.1.0.1:8001']), stays.untilIds(['10.1.0.1:8001'])])
      subscription.unsubscribe()
      subscription.unsubscribe()
      const heard = gone.story.length
      await registry.put(service, [a, b])
      await stays.untilIds(['10.1.0.1:8001', '10.1.0.2:8002'])
      expect(gone.story).to.have.length(heard)
    })

    it('keeps services apart', async () => {
      const [one, two] = [freshService(), freshService()]
      await registry.put(one, [a])
      await registry.put(two, [b])
      const adapter = started()
      const [first, second] = [recordingListener(), recordingListener()]
      adapter.subscribe(one, first)
      adapter.subscribe(two, second)
      await Promise.all([first.untilIds(['10.1.0.1:8001']), second.untilIds(['10.1.0.2:8002'])])
      await registry.put(two, [b, c])
      await second.untilIds(['10.1.0.2:8002', '10.1.0.3:8003'])
      expect(first.ids).to.deep.equal(['10.1.0.1:8001'])
    })

    it('shows in its status whether it is connected and how much it does', async () => {
      const adapter = started()
      const service = freshService()
      const listener = recordingListener()
      expect(adapter.status()).to.include({ connected: false, lastHeardAt: 0 })
      adapter.subscribe(service, listener)
      await listener.until(() => true, 'an answer')
      expect(adapter.status()).to.include({ connected: true, subscriptions: 1, problem: undefined })
      expect(adapter.status().lastHeardAt).to.be.closeTo(Date.now(), 30_000)
    })

    if (abilities.signsOfLife === true)
      it('counts as heard while nothing changes', async () => {
        const adapter = started()
        const listener = recordingListener()
        adapter.subscribe(freshService(), listener)
        await listener.until(() => true, 'an answer')
        const { lastHeardAt } = adapter.status()
        await eventually(() => adapter.status().lastHeardAt > lastHeardAt + 50, 'a sign of life')
        expect(listener.sets).to.have.length(1)
      })

    if (abilities.isPlain !== true && abilities.lists !== false)
      it('lists the services that the registry knows', async () => {
        const service = freshService()
        await registry.put(service, [a])
        const adapter = started()
        const listener = recordingListener()
        adapter.subscribe(service, listener)
        await listener.untilIds(['10.1.0.1:8001'])
        const names = await adapter.listServices(100_000, AbortSignal.timeout(60_000))
        expect(names).to.include(`${service.namespace}/${service.group}@@${service.name}`)
        expect(await adapter.listServices(1, AbortSignal.timeout(60_000))).to.have.length(1)
      })

    if (abilities.spoil)
      it('keeps the last good list when the registry answers nonsense', async () => {
        const service = freshService()
        await registry.put(service, [a, b])
        const listener = recordingListener()
        started().subscribe(service, listener)
        await listener.untilIds(['10.1.0.1:8001', '10.1.0.2:8002'])
        await registry.spoil?.(service)
        await registry.put(service, [a, b, c])
        await listener.untilIds(['10.1.0.1:8001', '10.1.0.2:8002', '10.1.0.3:8003'])
        const lists = listener.sets.map((set) => set.endpoints.length)
        expect(lists).to.deep.equal([2, 3])
      })

    if (abilities.cutOff)
      it('says once that the data are old while the registry is away, keeps the list, and resumes', async () => {
        const service = freshService()
        await registry.put(service, [a, b])
        const listener = recordingListener()
        const adapter = started()
        adapter.subscribe(service, listener)
        await listener.untilIds(['10.1.0.1:8001', '10.1.0.2:8002'])
        await registry.cutOff?.()
        await eventually(() => listener.problems.length > 0, 'word that the registry is away')
        await eventually(() => !adapter.status().connected, 'a status that says so')
        expect(adapter.status().problem?.code).to.match(/^E_REGISTRY_/)
        await registry.comeBack?.()
        await eventually(() => adapter.status().connected, 'a connection')
        await registry.put(service, [a, b, c])
        await listener.untilIds(['10.1.0.1:8001', '10.1.0.2:8002', '10.1.0.3:8003'])
        expect(listener.problems).to.have.length(1)
        expect(listener.sets.every((set) => set.endpoints.length >= 2)).to.equal(true)
      })

    if (abilities.cutOff)
      it('serves subscriptions that were made while the registry was away', async () => {
        const service = freshService()
        await registry.put(service, [a])
        await registry.cutOff?.()
        const listener = recordingListener()
        started().subscribe(service, listener)
        await eventually(() => listener.problems.length > 0, 'word that the registry is away')
        await registry.comeBack?.()
        await listener.untilIds(['10.1.0.1:8001'])
      })

    const registration = (service: ServiceName, port: number): Registration => ({
      service,
      address: '10.2.0.1',
      port,
      weight: 2,
      cluster: 'DEFAULT',
      healthy: true,
      enabled: true,
      metadata: { version: 'v1', 'hostmesh.inbound': 'true' },
    })
    const seenIds = async (service: ServiceName): Promise<string> =>
      ((await registry.seen?.(service)) ?? [])
        .map(({ id }) => id)
        .sort()
        .join()

    if (!abilities.register)
      it('refuses a registration if it cannot register', () => {
        expect(() => started().register(registration(freshService(), 9000)))
          .to.throw(MeshError)
          .with.property('code', 'E_CONFIG_INVALID')
      })

    if (abilities.register)
      it('registers several applications of one service, changes and removes each alone', async () => {
        const service = freshService()
        const adapter = started()
        const one = adapter.register(registration(service, 9001))
        const two = adapter.register(registration(service, 9002))
        expect(one.state).to.equal('pending')
        await eventually(async () => (await seenIds(service)) === '10.2.0.1:9001,10.2.0.1:9002', 'both applications')
        await eventually(() => one.state === 'registered' && two.state === 'registered', 'both states')
        expect(adapter.status().registrations).to.equal(2)
        one.update({ weight: 5, metadata: { version: 'v9' } })
        await eventually(async () => {
          const seen = await registry.seen?.(service)
          const changed = seen?.find(({ id }) => id === '10.2.0.1:9001')
          return changed?.weight === 5 && changed.metadata['version'] === 'v9'
        }, 'weight 5 and version v9')
        two.update({ healthy: false })
        await eventually(async () => (await seenIds(service)) === '10.2.0.1:9001', 'the unhealthy one to be left out')
        two.update({ healthy: true })
        await eventually(async () => (await seenIds(service)) === '10.2.0.1:9001,10.2.0.1:9002', 'it to be back')
        await one.deregister(3000)
        await eventually(async () => (await seenIds(service)) === '10.2.0.1:9002', 'the first to be gone')
        await two.deregister(3000)
        await eventually(async () => (await seenIds(service)) === '', 'both to be gone')
        expect(adapter.status().registrations).to.equal(0)
      })

    if (abilities.register)
      it('leaves an instance in place on release and on close', async () => {
        const service = freshService()
        const adapter = started()
        const released = adapter.register(registration(service, 9001))
        adapter.register(registration(service, 9002))
        await eventually(async () => (await seenIds(service)) === '10.2.0.1:9001,10.2.0.1:9002', 'both applications')
        released.release()
        await adapter.close()
        expect(await seenIds(service)).to.equal('10.2.0.1:9001,10.2.0.1:9002')
      })

    if (abilities.register)
      it('lets a second adapter take a registration over without a gap or a double', async () => {
        const service = freshService()
        const old = started()
        const handle = old.register(registration(service, 9001))
        await eventually(() => handle.state === 'registered', 'the registration')
        const watcher = recordingListener()
        started().subscribe(service, watcher)
        await watcher.untilIds(['10.2.0.1:9001'])
        const next = started()
        const taken = next.register(registration(service, 9001))
        await eventually(() => taken.state === 'registered', 'the second registration')
        handle.release()
        await old.close()
        taken.update({ weight: 4 })
        await watcher.until((set) => set.endpoints[0]?.weight === 4, 'weight 4')
        expect(watcher.sets.every((set) => set.endpoints.length === 1)).to.equal(true)
        await taken.deregister(3000)
      })

    if (abilities.register && abilities.cutOff)
      it('restores registrations after the registry was away', async () => {
        const service = freshService()
        const adapter = started()
        const before = adapter.register(registration(service, 9001))
        await eventually(() => before.state === 'registered', 'the registration')
        await registry.cutOff?.()
        await eventually(() => before.state === 'failing', 'heartbeats to fail')
        const during = adapter.register(registration(service, 9002))
        before.update({ weight: 6 })
        await registry.comeBack?.()
        await eventually(() => before.state === 'registered' && during.state === 'registered', 'both registered')
        await eventually(async () => (await seenIds(service)) === '10.2.0.1:9001,10.2.0.1:9002', 'both applications')
        await eventually(
          async () => (await registry.seen?.(service))?.find(({ id }) => id === '10.2.0.1:9001')?.weight === 6,
          'the weight that was set meanwhile',
        )
        await Promise.all([before.deregister(3000), during.deregister(3000)])
      })

    if (abilities.config)
      it('tells the watcher of a document its content, each change, and that it is gone', async () => {
        const { config } = started()
        if (config === undefined) throw new Error('the adapter has no documents')
        const dataId = freshService().name
        const heard: (ConfigDocument | undefined)[] = []
        const signal = AbortSignal.timeout(60_000)
        config.watch('rules', dataId, (document) => heard.push(document))
        await eventually(() => heard.length === 1, 'word that there is no such document')
        expect(heard[0]).to.equal(undefined)
        const first = await config.publish('rules', dataId, 'one: 1', '', signal)
        await eventually(() => heard.at(-1)?.content === 'one: 1', 'the first content')
        expect(heard.at(-1)?.revision).to.equal(first.revision)
        await config.publish('rules', dataId, 'two: ü', first.revision, signal)
        await eventually(() => heard.at(-1)?.content === 'two: ü', 'the second content')
        expect((await config.read('rules', dataId, signal))?.content).to.equal('two: ü')
        await config.remove('rules', dataId, signal)
        await eventually(() => heard.at(-1) === undefined, 'the removal')
      })

    if (abilities.config)
      it('writes a document only over the revision that was read', async () => {
        const { config } = started()
        if (config === undefined) throw new Error('the adapter has no documents')
        const dataId = freshService().name
        const signal = AbortSignal.timeout(60_000)
        const first = await config.publish('rules', dataId, 'mine', '', signal)
        await config.publish('rules', dataId, 'theirs', first.revision, signal)
        for (const stale of [first.revision, '']) {
          const failure = await config.publish('rules', dataId, 'mine again', stale, signal).then(
            () => undefined,
            (error: unknown) => error,
          )
          expect(failure).to.be.instanceOf(MeshError).with.property('code', 'E_REGISTRY_CONFLICT')
        }
        expect((await config.read('rules', dataId, signal))?.content).to.equal('theirs')
        await config.publish('rules', dataId, 'whatever was there', undefined, signal)
        expect((await config.read('rules', dataId, signal))?.content).to.equal('whatever was there')
        await config.remove('rules', dataId, signal)
      })

    it('ends quietly: nothing is heard after close', async () => {
      const service = freshService()
      await registry.put(service, [a])
      const adapter = started()
      const listener = recordingListener()
      adapter.subscribe(service, listener)
      await listener.untilIds(['10.1.0.1:8001'])
      await adapter.close()
      const heard = listener.story.length
      const other = recordingListener()
      started().subscribe(service, other)
      await registry.put(service, [a, b])
      await other.untilIds(['10.1.0.1:8001', '10.1.0.2:8002'])
      expect(listener.story).to.have.length(heard)
    })
  })
}
