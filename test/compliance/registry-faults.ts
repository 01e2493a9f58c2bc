/**
 * What an adapter does when its registry fails, as one suite for all kinds. An adapter's own spec gives the registry
 * and the ways to break it. The rule behind every case: what was good stays in use and is called old, nothing is made
 * up, nobody else is slowed, and whatever was wished for meanwhile is there when the registry is back.
 */
import { expect } from 'chai'
import type { ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { adaptersUnderTest } from '../support/adapters-under-test.ts'
import { watchTurns } from '../support/busiest-turn.ts'
import { eventually, recordingListener } from '../support/registry-listener.ts'
import { holds } from '../support/worker/eventually.ts'
import type { OutsideInstance } from './registry-adapter.ts'

export interface BreakableRegistry {
  createAdapter(): RegistryAdapter
  put(service: ServiceName, instances: readonly OutsideInstance[]): Promise<void>
  /** The server dies (SIGKILL, or its like), and comes back with what it had. */
  kill(): Promise<void>
  restart(): Promise<void>
  /** Packets vanish: connections stay, nothing moves; then they move again. */
  stall(): void
  flow(): void
  /** How long the adapter takes at most to see a silent registry, on a machine that it has for itself, ms. */
  readonly silenceMs: number
  /** Everything is refused from now on: the credentials do not count any more. */
  readonly deny?: () => Promise<void>
  readonly allow?: () => Promise<void>
  /** An answer of so many bytes for this service. */
  readonly huge?: (service: ServiceName, bytes: number) => Promise<void>
  /**
   * Makes it forget a service that is announced there, as others would who take its host for dead; absent = it does so
   * by itself.
   */
  readonly forget?: (service: ServiceName) => Promise<void>
  /** Ids that others see. */
  readonly seen?: (service: ServiceName) => Promise<string[]>
  readonly namespace: string
  /** Absent = DEFAULT_GROUP. */
  readonly group?: string
  close(): Promise<void>
}

/** Most processor time that the loop may spend at a time on one answer, however large. */
const maxBusyMs = 1000
/** Until a registry, or what it lost, is seen as such, and until it is back, ms: above every `silenceMs`. */
const patienceMs = 90_000
const hugeBytes = 100 * 1024 * 1024

export interface FaultAbilities {
  readonly register: boolean
  /** The registry knows credentials. */
  readonly deny: boolean
  readonly huge: boolean
  /** false = it takes a sudden loss in a way of its own, which its own specs test. */
  readonly doubts?: boolean
}

export function describeRegistryFaults(
  title: string,
  abilities: FaultAbilities,
  setUp: (context: Mocha.Context) => Promise<BreakableRegistry>,
): void {
  describe(`registry in trouble: ${title}`, function () {
    this.timeout(240_000)
    let registry: BreakableRegistry
    const { started, freshService, closeAll } = adaptersUnderTest(() => registry, 'faults')
    before(async function () {
      registry = await setUp(this)
    })
    afterEach(async () => {
      await closeAll()
    })
    after(async () => {
      await (registry as BreakableRegistry | undefined)?.close()
    })

    const a = { address: '10.1.0.1', port: 8001 }
    const b = { address: '10.1.0.2', port: 8002 }
    const ids = ['10.1.0.1:8001', '10.1.0.2:8002']

    it('keeps what it knew while the server is dead, says once that it is old, and goes on with the restarted one', async () => {
      const service = freshService()
      await registry.put(service, [a])
      const listener = recordingListener()
      const adapter = started()
      adapter.subscribe(service, listener)
      await listener.untilIds([ids[0]!])
      await registry.kill()
      await eventually(() => listener.problems.length > 0, 'word that the registry is away', patienceMs)
      expect(adapter.status().connected).to.equal(false)
      // one that keeps all in memory has it again before anybody can ask
      registry.stall()
      await registry.restart()
      await registry.put(service, [a, b])
      registry.flow()
      await eventually(() => adapter.status().connected, 'a connection', patienceMs)
      await listener.untilIds(ids, patienceMs)
      expect(listener.problems).to.have.length(1)
      expect(listener.sets.every((set) => set.endpoints.length > 0)).to.equal(true)
    })

    if (abilities.doubts !== false)
      it('takes an empty answer for certain only when it was asked for once more, and what comes back at once', async () => {
        const service = freshService()
        await registry.put(service, [a, b])
        const listener = recordingListener()
        started().subscribe(service, listener)
        await listener.untilIds(ids)
        await registry.put(service, [])
        await eventually(
          () => listener.confirmed.some(({ endpoints }) => endpoints.length === 0),
          () => `a second look at nobody; heard ${listener.story.join(' | ')}`,
          patienceMs,
        )
        expect(listener.sets.find(({ endpoints }) => endpoints.length === 0)).to.not.equal(listener.confirmed[0])
        await registry.put(service, [a, b])
        await listener.untilIds(ids, patienceMs)
        expect(listener.problems).to.deep.equal([])
      })

    it('sees a registry that only went silent, and what changed meanwhile is known when it speaks again', async () => {
      const service = freshService()
      await registry.put(service, [a])
      const listener = recordingListener()
      const adapter = started()
      adapter.subscribe(service, listener)
      await listener.untilIds([ids[0]!])
      registry.stall()
      await eventually(() => listener.problems.length > 0, 'word that the registry is silent', patienceMs)
      // the tests' own way to the registry is not cut
      await registry.put(service, [a, b])
      await holds(() => listener.ids.join() === ids[0], registry.silenceMs / 4)
      registry.flow()
      await listener.untilIds(ids, patienceMs)
      expect(listener.problems).to.have.length(1)
    })

    if (abilities.register)
      it('registers again what a registry lost that was silent for longer than it keeps anybody', async () => {
        const service = freshService()
        const adapter = started()
        const handle = adapter.register({
          service,
          address: '10.2.0.1',
          port: 9001,
          weight: 1,
          cluster: 'DEFAULT',
          healthy: true,
          enabled: true,
          metadata: {},
        })
        await eventually(async () => (await registry.seen!(service)).length === 1, 'the application')
        registry.stall()
        await eventually(() => handle.state === 'failing', 'a state that says so', patienceMs)
        await registry.forget?.(service)
        await eventually(async () => (await registry.seen!(service)).length === 0, 'it to be forgotten', patienceMs)
        registry.flow()
        await eventually(async () => (await registry.seen!(service)).length === 1, 'it to be back', patienceMs)
        await eventually(() => handle.state === 'registered', 'a state that says so', patienceMs)
        await handle.deregister(5000)
      })

    if (abilities.deny)
      it('is not healthy while the registry refuses everything, keeps what it knew, and heals by itself', async () => {
        const service = freshService()
        await registry.put(service, [a])
        const listener = recordingListener()
        const adapter = started()
        adapter.subscribe(service, listener)
        await listener.untilIds([ids[0]!])
        await registry.deny!()
        try {
          await eventually(
            () => adapter.status().problem?.code === 'E_REGISTRY_DENIED' && !adapter.status().connected,
            () => `a status that says so; it is ${JSON.stringify(adapter.status())}`,
            patienceMs,
          )
          expect(listener.ids).to.deep.equal([ids[0]])
          expect(listener.problems).to.have.length(1)
        } finally {
          await registry.allow!()
        }
        await registry.put(service, [a, b])
        await listener.untilIds(ids, patienceMs)
        await eventually(
          () => adapter.status().connected && adapter.status().problem === undefined,
          'a good status',
          patienceMs,
        )
      })

    if (abilities.huge)
      it('is not stopped by an answer of 100 MiB: the service is left out or cut, the others go on', async () => {
        const [service, big] = [freshService(), freshService()]
        await registry.put(service, [a])
        await registry.huge!(big, hugeBytes)
        const adapter = started()
        const [listener, other] = [recordingListener(), recordingListener()]
        const turns = watchTurns()
        const before = process.memoryUsage().rss
        adapter.subscribe(big, other)
        adapter.subscribe(service, listener)
        await listener.untilIds([ids[0]!], patienceMs)
        await eventually(
          () => other.problems.length > 0 || other.sets.length > 0,
          'a word on the large one',
          patienceMs,
        )
        await registry.put(service, [a, b])
        await listener.untilIds(ids, patienceMs)
        expect(turns.end(), 'ms that the loop was busy at a time').to.be.lessThan(maxBusyMs)
        expect((process.memoryUsage().rss - before) / 1024 / 1024, 'MiB more').to.be.lessThan(300)
        expect(other.last?.endpoints.length ?? 0).to.be.at.most(10_000)
      })
  })
}
