/**
 * The agents of 200 hosts die at once, and all of their traffic comes to one center, whose only worker can do less:
 * each request costs it a walk through many regular expressions.
 */
import { expect } from 'chai'
import { writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { Stampede, type StampedeTarget } from '../../support/center/stampede.ts'
import { counted } from '../../support/mesh/host-facts.ts'
import { Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'
import { goBeforeOthers } from '../../support/priority.ts'

const hosts = 200
const places = 1000
const costlyRoutes = 150
const measuredMs = 5000

/** Nothing else works on this machine: what is served is measured too, and more is asked for. */
const isAlone = process.env['HOSTMESH_ALONE'] !== undefined
const connectionsEach = isAlone ? 25 : 15

describe('the hosts of a whole fleet at one center', function () {
  this.timeout(180_000)
  let mesh: Mesh
  let center: DemoHost
  let application: net.Server
  let target: StampedeTarget
  const stampedes: Stampede[] = []
  let goAsOthers: () => void

  before(async () => {
    goAsOthers = goBeforeOthers()
    mesh = await Mesh.openOnFiles()
    application = net.createServer((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
      socket.on('error', () => undefined)
    })
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    const { port } = application.address() as net.AddressInfo
    mesh.tell('orders', [{ address: '127.0.0.1', port }])
    const address = mesh.address()
    center = mesh.host('center', {
      role: 'center',
      extra: {
        workers: 1,
        endpoints: { allowLoopbackEndpoints: true },
        relay: { address: `${address}:15443`, allowedNetworks: ['127.0.0.0/8'], maxConnections: places },
      },
    })
    const route = [{ destination: { host: 'orders' } }]
    const costly = Array.from({ length: costlyRoutes }, (_, at) => ({
      match: [{ authority: { regex: `(a|o|r)+(d|e|r)*s-?${at}x+` } }],
      route,
    }))
    const rule = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'orders' },
      spec: { hosts: ['orders'], http: [...costly, { route, retries: { attempts: 0 } }] },
    }
    // the application shares a processor with those who call
    const patient = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name: 'orders' },
      spec: { host: 'orders', trafficPolicy: { connectionPool: { tcp: { connectTimeout: '20s' } } } },
    }
    center.start()
    for (const one of [rule, patient])
      writeFileSync(join(center.options.directory, 'rules.d', `${one.kind}.yaml`), JSON.stringify(one))
    await center.ready(60_000)
    target = { address, port: 15_443, service: 'public/DEFAULT_GROUP@@orders' }
    const first = stampede(1, 1)
    await until(20_000, 'a relayed request is served', async () => first.sum('served') > 0)
    first.close()
  })
  after(async () => {
    for (const one of stampedes) one.close()
    application?.close()
    await mesh?.close()
    goAsOthers()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  function stampede(count: number, each: number): Stampede {
    const made = new Stampede(target, count, each)
    stampedes.push(made)
    return made
  }

  /** Of 200 connections, one of each host. */
  async function capacityBy(calm: Stampede): Promise<number> {
    await until(30_000, 'all are served', async () => calm.counts.every(({ served }) => served > 0))
    const rate = await calm.rate(measuredMs)
    expect([calm.sum('shed'), calm.firstBroken], 'below the bounds').to.deep.equal([0, ''])
    calm.close()
    return rate
  }

  /** All 200 of them, until the bounds are reached. */
  async function crowd(): Promise<Stampede> {
    const all = stampede(hosts, connectionsEach)
    await until(30_000, 'the bounds are reached', async () => all.sum('shed') > 0)
    return all
  }

  it('are all served at its bounds, the rest hears when to come again, and it recovers in 5 s', async () => {
    const all = await crowd()
    const begun = all.counts.map(({ served }) => served)
    await until(60_000, 'each of them is served meanwhile', async () =>
      all.counts.every(({ served }, at) => served - begun[at]! >= 3),
    )
    expect(await counted(center, 'hostmesh_relay_shed_total')).to.be.greaterThan(0)
    expect(all.firstBroken, 'neither served nor told when to come again').to.equal('')
    all.close()
    const next = stampede(hosts, 1)
    await until(5000, 'all are served again', async () => next.counts.every((count) => count.served > 0))
    next.close()
  })

  if (isAlone)
    it('cost it no more than a fifth of what it can', async () => {
      const before = await capacityBy(stampede(hosts, 1))
      const all = await crowd()
      await all.rate(2000)
      const begun = all.counts.map(({ served }) => served)
      const goodput = await all.rate(measuredMs)
      const served = all.counts.map((count, at) => count.served - begun[at]!)
      const shed = all.sum('shed')
      all.close()
      const since = performance.now()
      const next = stampede(hosts, 1)
      await until(5000, 'all are served again', async () => next.counts.every((count) => count.served > 0))
      const recoveredMs = Math.round(performance.now() - since)
      const capacity = (before + (await capacityBy(next))) / 2
      const mean = served.reduce((sum, one) => sum + one, 0) / hosts
      const [least, most] = [Math.min(...served), Math.max(...served)]
      console.info(
        `      capacity ${Math.round(capacity)}/s, goodput ${Math.round(goodput)}/s (${Math.round((goodput / capacity) * 100)} %), ` +
          `of a host ${least} to ${most}, mean ${Math.round(mean)}; ${shed} shed; all are served ${recoveredMs} ms after it`,
      )
      expect(goodput / capacity).to.be.at.least(0.8)
      expect(least / mean, 'the least of all against the mean').to.be.at.least(0.4)
    })
})
