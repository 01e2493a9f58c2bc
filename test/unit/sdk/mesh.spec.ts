import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect } from 'chai'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { createMesh } from '../../../sdk/index.ts'
import { readKept } from '../../../sdk/sources/kept-file.ts'
import { eventually } from '../../support/registry-listener.ts'
import { SdkBench } from '../../support/sdk/sdk-bench.ts'
import { discovery, serviceAt } from '../../support/sdk/stand-in-agent.ts'

describe('the mesh of an application', () => {
  const bench = new SdkBench()

  beforeEach(async () => {
    bench.agent.says = discovery({ services: { orders: serviceAt('10.0.0.1:80') } })
    await bench.open()
  })

  it('takes what a listener throws for no failure of the agent, and tells the others', async () => {
    const heard = Promise.withResolvers<readonly string[]>()
    bench.mesh.subscribe('orders', ({ isKnown }) => {
      if (isKnown) throw new Error('a fault of the application')
    })
    bench.mesh.subscribe('orders', ({ isKnown, endpoints }) => {
      if (isKnown) heard.resolve(endpoints)
    })
    expect(await heard.promise).to.deep.equal(['10.0.0.1:80'])
    await new Promise((resolve) => setImmediate(resolve))
    expect(bench.mesh.status().agent.isAnswering).to.equal(true)
  })

  it('forgets a registration that was taken back', async () => {
    for (let count = 0; count < 3; count++) {
      const announced = bench.mesh.register({ service: 'shop', port: 8080 })
      expect(bench.mesh.status().registered).to.have.length(1)
      await announced.deregister()
    }
    expect(bench.mesh.status().registered).to.deep.equal([])
  })

  it('keeps the newest good text of the key of the mode, not one that it could not read', async () => {
    const registry = await startEmbeddedRegistry()
    const keyed = createMesh({
      application: 'keyed',
      dataDirectory: bench.folder,
      agent: bench.agent.address,
      nacos: { servers: [registry.address], modePollMs: 100 },
    })
    const say = async (content: string): Promise<void> => {
      const query = new URLSearchParams({ dataId: 'sdk.keyed.json', group: 'HOSTMESH', content })
      await fetch(`http://${registry.address}/nacos/v1/cs/configs?${query.toString()}`, { method: 'POST' })
    }
    const good = '{"services":{"orders":"direct"}}'
    const file = join(bench.folder, 'keyed.hostmesh.json')
    try {
      await say(good)
      await eventually(() => readKept(file)?.modeKey === good, 'the key on disk')
      await say('{"mode":"sideways"}')
      await eventually(() => keyed.status().modeKeyProblem !== undefined, 'the problem of the key')
    } finally {
      await keyed.close()
      await registry.close()
    }
    expect(readKept(file)?.modeKey).to.equal(good)
  })

  it('announces anew where the agent takes registrations at another address now', async () => {
    const faces = [await startEmbeddedRegistry(), await startEmbeddedRegistry()]
    const has = (at: number): boolean => faces[at]!.status().instances === 1
    try {
      bench.agent.says = discovery({ nacosFace: faces[0]!.address })
      bench.mesh.subscribe('one', () => undefined)
      bench.mesh.register({ service: 'shop', port: 8080, address: '127.0.0.1' })
      await eventually(() => has(0), 'it is announced')
      bench.agent.says = discovery({ nacosFace: faces[1]!.address })
      bench.mesh.subscribe('two', () => undefined)
      await eventually(
        () => has(1),
        () => `it is announced anew: ${JSON.stringify(bench.mesh.status().registered)}`,
      )
      await eventually(() => bench.mesh.status().registered[0]?.state === 'registered', 'it says so')
    } finally {
      await bench.mesh.close()
      await Promise.all(faces.map((face) => face.close()))
    }
  })

  it('says in words that the registry refuses its password, for calls and registrations', async () => {
    const server = createServer((request, response) => {
      request.resume()
      response.writeHead(403).end('unknown user!')
    })
    const denied = createMesh({
      application: 'denied',
      dataDirectory: bench.folder,
      agent: bench.agent.address,
      mode: 'direct',
      nacos: { servers: [await bench.listening(server)], username: 'shop', password: 'not-this-one' },
    })
    try {
      denied.subscribe('orders', () => undefined)
      denied.register({ service: 'shop', port: 8080, address: '127.0.0.1' })
      const problems = (): (string | undefined)[] => {
        const { registered, registry } = denied.status()
        return [registry?.problem, registered[0]?.problem]
      }
      await eventually(
        () => problems().every((problem) => problem?.includes('"shop"') === true),
        () => `the user that is refused: ${JSON.stringify(denied.status())}`,
      )
      expect(denied.status().registry?.isConnected).to.equal(false)
      expect(JSON.stringify(denied.status())).to.not.include('not-this-one')
    } finally {
      await denied.close()
    }
  })

  it('announces nothing any more once it is closed', async () => {
    await bench.mesh.close()
    expect(() => bench.mesh.register({ service: 'shop', port: 8080 })).to.throw(/is closed/)
  })
})
