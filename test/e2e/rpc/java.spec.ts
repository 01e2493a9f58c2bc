/** Ordinary Dubbo and SOFARPC applications, with real artifacts, which call each other through a worker. */
import { expect } from 'chai'

import type { ClusterDump } from '../../../contracts/control-link.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { until } from '../../support/mesh/mesh.ts'
import { freePort } from '../../support/free-port.ts'
import type { Launch } from '../../support/nacos-clients/foreign-client.ts'
import { ForeignClient } from '../../support/nacos-clients/foreign-client.ts'
import { dubboSample, sofaSample } from '../../support/nacos-clients/launches.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

interface Sample {
  readonly name: string
  readonly protocol: string
  readonly service: string
  launch(): Promise<Launch>
  provider(port: number): readonly [string, ...string[]]
  consumer(port: number): readonly [string, ...string[]]
}

const samples: readonly Sample[] = [
  {
    name: 'Dubbo 3.3',
    protocol: 'dubbo',
    service: 'DubboSample$Greeter',
    launch: () => dubboSample('3.3.0'),
    provider: (port) => ['N/A', 'provider', 'interface', '127.0.0.1', String(port)],
    consumer: (port) => ['N/A', 'consumer', 'interface', `dubbo://[::ffff:127.0.0.1]:${port}/DubboSample$Greeter`],
  },
  {
    name: 'SOFARPC',
    protocol: 'bolt',
    service: 'SofaSample$Greeter:1.0',
    launch: () => sofaSample('5.13.2'),
    provider: (port) => ['N/A', '127.0.0.1', String(port)],
    consumer: (port) => ['consumer', `bolt://127.0.0.1:${port}`],
  },
]

for (const sample of samples) {
  describe(`an ordinary consumer of ${sample.name}`, function () {
    this.timeout(300_000)
    let mesh: StartedWorker | undefined
    const programs: ForeignClient[] = []

    after(async () => {
      await Promise.all(programs.map((one) => one.kill()))
      mesh?.stop()
    })

    it('has each call balanced over its providers on a shared port, and gets an exception for what fails', async function () {
      const launch = await sample.launch()
      if ('missing' in launch) {
        console.log(`skipped: ${launch.missing}`)
        return this.skip()
      }
      const start = ([first, ...more]: readonly [string, ...string[]]): ForeignClient => {
        const program = new ForeignClient(launch, first, ...more)
        programs.push(program)
        return program
      }
      const ports = [await freePort(), await freePort()]
      const providers = ports.map((port) => start(sample.provider(port)))
      await Promise.all(providers.map((one) => one.ask('ready')))
      const protocol = sample.protocol as RpcProtocol
      const endpoints = ports.map((port) => ({ address: '127.0.0.1', port }))
      mesh = await startWorker({
        services: [{ name: sample.service, protocol, endpoints, policy: { loadBalancer: { kind: 'round-robin' } } }],
        rpc: { [sample.protocol]: { address: '127.0.0.1', port: 0 } },
        mesh: { tracing: { createMissing: true, sampledShare: 1 } },
      })
      const consumer = start(sample.consumer(mesh.port(sample.protocol)))
      await consumer.ask('ready')
      await until(30_000, 'an answer', async () => (await consumer.ask('greet', 'ann')) === 'hello ann')
      const before = mesh.metric('istio_requests_total', sample.protocol, '200')
      for (let call = 0; call < 10; call++)
        expect(await consumer.ask('greet', `bob ${call}`)).to.equal(`hello bob ${call}`)
      expect(mesh.metric('istio_requests_total', sample.protocol, '200') - before).to.equal(10)
      const dumps = mesh.worker.answer({ kind: 'clusters' }) as readonly ClusterDump[]
      const [upstream] = dumps.filter(({ endpoints: all }) => all.length === 2)
      const counts = upstream!.endpoints.map(({ requests }) => requests)
      expect(Math.abs(counts[0]! - counts[1]!)).to.be.at.most(1)
      await Promise.all(providers.map((one) => one.kill()))
      const failure = await consumer.ask('greet', 'eve').catch((error: unknown) => String(error))
      expect(failure).to.not.include('hello')
      expect(mesh.metric('istio_requests_total', sample.protocol)).to.be.above(10)
    })
  })
}
