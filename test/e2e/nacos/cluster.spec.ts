import { expect } from 'chai'
import { endpointId } from '../../../contracts/endpoint.ts'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { Registration } from '../../../contracts/registry-adapter.ts'
import { createNacosAdapter, defaultNacosTimes } from '../../../registry-adapters/nacos/index.ts'
import type { NacosAdapter } from '../../../registry-adapters/nacos/index.ts'
import { adapterConfig } from '../../support/nacos/adapter-config.ts'
import { nacosDriver } from '../../support/nacos/driver.ts'
import { needsNacos, startNacosCluster, startOneAfterAnother } from '../../support/nacos/server.ts'
import type { RunningNacos } from '../../support/nacos/server.ts'
import { eventually, recordedDeps, recordingListener } from '../../support/registry-listener.ts'
import { holds } from '../../support/worker/eventually.ts'
import type { RecordedDeps, RecordingListener } from '../../support/registry-listener.ts'

const namespace = `cluster-${process.pid}`
const serviceCount = 10
const service = (index: number): ServiceName => ({ namespace, group: 'DEFAULT_GROUP', name: `service-${index}` })

/** One host: announces two instances of each service, and watches all of them. */
interface Host {
  readonly adapter: NacosAdapter
  readonly deps: RecordedDeps
  readonly listeners: readonly RecordingListener[]
}

/**
 * How long all servers are down in the outage test, beyond the time that they need to stop; 0 by default.
 * HOSTMESH_OUTAGE_SECONDS=600 is the ten minutes that an operator would ask for: the agents must not care.
 */
const outageMs = Number(process.env['HOSTMESH_OUTAGE_SECONDS'] ?? 0) * 1000

describe('a Nacos cluster of three real servers', function () {
  // most of it is patience with servers that start on a busy machine
  this.timeout(600_000 + outageMs)
  let servers: RunningNacos[] = []
  let hosts: Host[] = []

  before(async function () {
    await needsNacos(this)
    servers = await startNacosCluster(3)
    hosts = [0, 1, 2].map((index) => startHost(index))
    await Promise.all(hosts.map(seesEverything))
  })

  after(async () => {
    await Promise.all(hosts.map(({ adapter }) => adapter.close()))
    await Promise.all(servers.map((server) => server.stop()))
  })

  const startHost = (host: number): Host => {
    const deps = recordedDeps()
    // patience as in production; the pace is quicker
    const { settleMs, doubtMs, syncMs } = defaultNacosTimes
    const times = {
      settleMs,
      doubtMs,
      syncMs,
      heartbeatMs: 2000,
      healthCheckMs: 2000,
      requestTimeoutMs: 3000,
      confirmAfterMs: 1000,
      reconnectMaxMs: 3000,
    }
    const adapter = createNacosAdapter(
      adapterConfig(
        servers.map(({ address }) => address),
        { namespace, times },
      ),
      deps,
    )
    adapter.start()
    const listeners = Array.from({ length: serviceCount }, (_, index) => {
      adapter.register(registration(host, index))
      const listener = recordingListener()
      adapter.subscribe(service(index), listener)
      return listener
    })
    return { adapter, deps, listeners }
  }
  const registration = (host: number, index: number): Registration => ({
    service: service(index),
    address: `10.3.${host}.1`,
    port: 8000 + index,
    weight: 1,
    cluster: 'DEFAULT',
    healthy: true,
    enabled: true,
    metadata: { host: String(host) },
  })
  const idOf = (host: number, index: number): string => `10.3.${host}.1:${8000 + index}`
  /**
   * Rejects with what the adapter of the host said last. What leaves after an outage may be kept for as long as the
   * servers settle, and doubted as long again before the word of one server is enough (docs/nacos.md); the rest is for
   * questions on a busy machine.
   */
  const seesEverything = async ({ listeners, deps }: Host): Promise<void> => {
    const from = deps.lines.length
    for (const listener of listeners)
      await listener
        .until((set) => set.endpoints.length === 3, 'three instances', 2 * defaultNacosTimes.settleMs + 60_000)
        .catch((error: unknown) => {
          throw new Error([(error as Error).message, ...deps.lines.slice(Math.max(0, from - 20))].join('\n  '))
        })
  }
  /**
   * From now on; what each host believed to be lost of the instances that live all the time, as `host: service without
   * ids`.
   */
  const watchForLosses = () => {
    const from = hosts.map(({ listeners }) => listeners.map(({ sets }) => sets.length))
    return (): string[] =>
      hosts.flatMap(({ listeners }, host) =>
        listeners.flatMap(({ sets }, index) =>
          sets.slice(from[host]![index]).flatMap((set) => {
            const ids = new Set(set.endpoints.map(endpointId))
            const missing = hosts.map((_, other) => idOf(other, index)).filter((id) => !ids.has(id))
            return missing.length === 0 ? [] : [`host ${host}: service ${index} without ${missing.join()}`]
          }),
        ),
      )
  }
  const serverOf = (host: Host): RunningNacos =>
    servers.find(({ address }) => address === host.adapter.status().server)!
  const othersThan = (server: RunningNacos): RunningNacos[] => servers.filter((other) => other !== server)

  it('loses no instance when the server that a host talks to is killed under load, and takes it back', async () => {
    const victim = serverOf(hosts[0]!)
    const lost = watchForLosses()
    await victim.kill()
    await eventually(
      () => hosts.every((host) => host.adapter.status().connected && serverOf(host) !== victim),
      'all hosts at the others',
      30_000,
    )
    const late = { ...registration(9, 0), port: 9999 }
    const handle = hosts[0]!.adapter.register(late)
    await eventually(() => handle.state === 'registered', 'a new registration meanwhile', 20_000)
    await victim.start()
    for (const host of hosts)
      await host.listeners[0]!.until((set) => set.endpoints.length === 4, 'the new instance everywhere', 30_000)
    const driver = nacosDriver(victim.url, namespace)
    await eventually(
      async () => (await driver.seen(service(0))).length === 4,
      'the server that is back to know it',
      30_000,
    )
    await handle.deregister(5000)
    await Promise.all(hosts.map(seesEverything))
    expect(lost()).to.deep.equal([])
    expect(hosts[0]!.deps.lines.join('\n'))
      .to.include('lost Nacos for naming')
      .and.include('what is known stays in use')
    expect(hosts[0]!.deps.counted('registry_losses', { connection: 'naming' })).to.be.greaterThan(0)
  })

  it('moves connections when the operator rebalances them, and nobody is lost for a moment', async () => {
    const from = serverOf(hosts[1]!)
    const to = othersThan(from)[0]!
    const lossesBefore = hosts.map(({ deps }) => deps.counted('registry_losses'))
    const current = (await (await fetch(`${from.url}/v2/core/loader/current`)).json()) as Record<string, object>
    for (const connectionId of Object.keys(current)) {
      const words = new URLSearchParams({ connectionId, redirectAddress: to.address }).toString()
      expect((await fetch(`${from.url}/v2/core/loader/reloadClient?${words}`)).status).to.equal(200)
    }
    await eventually(() => hosts.every((host) => serverOf(host) !== from), 'all hosts to leave', 20_000)
    expect(hosts.map(({ deps }) => deps.counted('registry_losses'))).to.deep.equal(lossesBefore)
    expect(hosts[1]!.deps.counted('registry_resets')).to.be.greaterThan(0)
    expect(hosts[1]!.deps.lines.join('\n')).to.include('Nacos asked us to move to another server')
  })

  it('keeps every list through an outage of all servers, and restores the desired state afterwards', async () => {
    const lost = watchForLosses()
    await Promise.all(servers.map((server) => server.end()))
    await eventually(() => hosts.every(({ adapter }) => !adapter.status().connected), 'all hosts to notice', 30_000)
    for (const host of hosts) {
      const problems = host.listeners.map(({ problems: heard }) => heard.length)
      expect(Math.min(...problems)).to.be.greaterThan(0)
    }
    await holds(() => lost().length === 0, outageMs)
    // the servers keep nothing of ephemeral instances over this: they start empty
    const added = hosts[2]!.adapter.register({ ...registration(8, 1), port: 9998 })
    await startOneAfterAnother(servers)
    const driver = nacosDriver(servers[0]!.url, namespace)
    for (let index = 0; index < serviceCount; index++)
      await eventually(
        async () => (await driver.seen(service(index))).length >= 3,
        `service ${index} at the server`,
        60_000,
      )
    await eventually(() => added.state === 'registered', 'what was wanted during the outage', 30_000)
    for (const host of hosts)
      await host.listeners[1]!.until((set) => set.endpoints.length === 4, 'it everywhere', 30_000)
    await eventually(() => hosts.every(({ adapter }) => adapter.status().connected), 'all hosts to be connected')
    expect(lost()).to.deep.equal([])
    const held = (): number[] => hosts.map(({ deps }) => deps.gauged('registry_held_services') ?? 0)
    await eventually(
      () => held().every((count) => count === 0),
      () => `nothing to be held back: ${held().join()}`,
      60_000,
    )
    await added.deregister(5000)
    await Promise.all(hosts.map(seesEverything))
  })

  it('believes no loss of a living instance when a server that has just restarted answers empty', async () => {
    const victim = serverOf(hosts[0]!)
    const lost = watchForLosses()
    await victim.kill()
    await victim.start()
    const driver = nacosDriver(victim.url, namespace)
    for (let index = 0; index < serviceCount; index++)
      await eventually(
        async () => (await driver.seen(service(index))).length === 3,
        `service ${index} at the server that is back`,
        90_000,
      )
    await eventually(
      () => hosts.every(({ deps }) => (deps.gauged('registry_held_services') ?? 0) === 0),
      'nothing to be doubted any more',
      90_000,
    )
    await Promise.all(hosts.map(seesEverything))
    expect(lost()).to.deep.equal([])
  })

  it('removes an instance for good, also where only a server has it that is not responsible for it', async () => {
    const [host] = hosts
    const here = { ...registration(7, 2), port: 9997 }
    const identity = { ip: here.address, port: String(here.port) }
    const asked = await fetch(
      `${servers[0]!.url}/v1/ns/operator/distro/client?${new URLSearchParams(identity).toString()}`,
    )
    const { responsibleServer } = (await asked.json()) as { responsibleServer: string }
    const other = servers.find(({ address }) => address !== responsibleServer)!
    // a v2 registration is not passed on to the server that is responsible, and a removal that is changes nothing there
    const names = { namespaceId: namespace, serviceName: here.service.name, groupName: here.service.group }
    const body = new URLSearchParams({ ...identity, ...names, metadata: JSON.stringify(here.metadata) })
    expect((await fetch(`${other.url}/v2/ns/instance`, { method: 'POST', body })).status).to.equal(200)
    const seenAt = async (server: RunningNacos): Promise<boolean> =>
      (await nacosDriver(server.url, namespace).seen(service(2))).some(({ port }) => port === here.port)
    await eventually(() => seenAt(other), 'the instance at the server that is not responsible')
    await host!.adapter.register(here).deregister(15_000)
    expect(await Promise.all(servers.map(seenAt))).to.deep.equal([false, false, false])
    expect(host!.deps.counted('registry_removals', { result: 'gone' })).to.be.greaterThan(0)
    expect(host!.deps.lines.join('\n')).to.include('although its removal was taken; removing it again')
    await Promise.all(hosts.map(seesEverything))
  })
})
