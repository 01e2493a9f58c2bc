/**
 * Two hosts with real agents: applications whose only link to the mesh is an ordinary Nacos client pointed at their
 * host's face.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { stateFiles } from '../../../contracts/run-directory.ts'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import type { Launch } from '../../support/nacos-clients/foreign-client.ts'
import { ForeignClient } from '../../support/nacos-clients/foreign-client.ts'
import { goClient, javaClient, npmClient, rustClient } from '../../support/nacos-clients/launches.ts'
import { startFaceHosts } from '../../support/mesh/face-hosts.ts'
import type { DemoApplication, DemoHost } from '../../support/mesh/mesh.ts'
import { call, Mesh, until } from '../../support/mesh/mesh.ts'
import { needsNacos, sharedNacos } from '../../support/nacos/server.ts'

interface Registered {
  readonly ip: string
  readonly port: number
  readonly healthy: boolean
  readonly metadata: Readonly<Record<string, string>>
}

const subjects: readonly { name: string; launch: () => Promise<Launch> }[] = [
  { name: 'npm nacos', launch: npmClient },
  { name: 'the Rust client', launch: rustClient },
  { name: 'the Java client 3.1.1', launch: () => javaClient('3.1.1') },
  { name: 'the Go SDK', launch: goClient },
]

interface Registry {
  readonly address: string
  close(): Promise<void>
}

const registries: readonly {
  name: string
  start: (context: Mocha.Context) => Promise<Registry>
  clients: readonly (typeof subjects)[number][]
}[] = [
  { name: 'the embedded registry', start: () => startEmbeddedRegistry({ mergeWindowMs: 50 }), clients: subjects },
  {
    name: 'a real Nacos 2.3.1',
    start: async (context) => {
      await needsNacos(context)
      const { address } = await sharedNacos('2.3.1')
      return { address, close: async () => {} }
    },
    clients: subjects.filter(({ name }) => name === 'the Go SDK' || name === 'npm nacos'),
  },
]

for (const { name: registryName, start, clients: usedClients } of registries)
  describe(`applications that join the mesh by the Nacos face, with ${registryName}`, function () {
    this.timeout(120_000)
    let registry: Registry
    let mesh: Mesh
    let alpha: DemoHost
    let beta: DemoHost

    before(async function () {
      registry = await start(this)
      mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
      ;[alpha, beta] = await startFaceHosts(mesh)
    })
    after(async () => {
      await mesh?.close()
      await registry?.close()
    })
    afterEach(function () {
      if (this.currentTest?.state === 'failed') console.log(mesh?.report())
    })

    const face = (host: DemoHost): string => `${host.options.address}:8848`

    async function instancesOf(service: string): Promise<readonly Registered[]> {
      const reply = await fetch(`http://${registry.address}/nacos/v1/ns/instance/list?serviceName=${service}`)
      return ((await reply.json()) as { hosts: Registered[] }).hosts
    }

    async function controlsOf(host: DemoHost): Promise<number[]> {
      const { generations } = await host.watchdogState()
      const children = generations.flatMap((generation) => generation.children)
      return children.filter(({ role, isReady }) => role === 'control' && isReady).map(({ pid }) => pid)
    }

    for (const [index, { name, launch }] of usedClients.entries())
      describe(`with ${name}`, () => {
        const service = `orders-${index}-${process.pid}`
        let application: DemoApplication
        const clients: ForeignClient[] = []
        let ready: Exclude<Launch, { missing: string }>
        const clientOf = (host: DemoHost): ForeignClient => {
          const made = new ForeignClient(ready, face(host))
          clients.push(made)
          return made
        }
        let provider: ForeignClient
        let caller: ForeignClient

        before(async function () {
          this.timeout(300_000)
          const found = await launch()
          if ('missing' in found) {
            console.log(`skipped: ${found.missing}`)
            return this.skip()
          }
          ready = found
          application = await mesh.httpApplication(service, 'v1', beta.options.address)
          provider = clientOf(beta)
          caller = clientOf(alpha)
        })
        after(async () => {
          await Promise.all(clients.map((one) => one.close()))
        })

        it("registers: the real registry has the agent's port, and the own port in the metadata", async () => {
          await provider.ask('register', service, application.address, application.port, 'version=v1')
          await until(30_000, 'the registry knows it', async () => (await instancesOf(service)).length === 1)
          const [seen] = await instancesOf(service)
          expect(seen?.ip).to.equal(beta.options.address)
          expect(seen?.port).to.be.within(21_000, 21_999)
          expect(seen?.metadata).to.include({ 'hostmesh.app-port': String(application.port), version: 'v1' })
        })

        it('discovers: a loopback address with the localhost port, and a call there arrives', async () => {
          let address = ''
          await until(30_000, 'the service is found', async () => {
            address = await caller.ask('list', service)
            return address !== ''
          })
          const [ip = '', port = ''] = address.split(':')
          expect(ip).to.match(/^127\./)
          expect(Number(port)).to.be.within(20_000, 20_999)
          await until(30_000, 'the call arrives', async () => (await call(ip, Number(port))).status === 200)
          expect(JSON.parse((await call(ip, Number(port))).body)).to.include({ version: 'v1' })
        })

        it('reads and writes the configuration of the real registry', async () => {
          expect(await caller.ask('publish', `${service}.yaml`, 'conf', 'a: 1')).to.equal('true')
          const url = `http://${registry.address}/nacos/v1/cs/configs?dataId=${service}.yaml&group=conf`
          await until(30_000, 'it is written', async () => (await (await fetch(url)).text()) === 'a: 1')
          await until(
            30_000,
            'it is read',
            async () => (await provider.ask('get', `${service}.yaml`, 'conf')) === 'a: 1',
          )
        })

        const disturbances: readonly { title: string; disturb: () => Promise<void> }[] = [
          {
            title: "its agent's control is killed and comes back",
            disturb: async () => {
              const [before] = await controlsOf(beta)
              await beta.signal('control', 'SIGKILL')
              await until(20_000, 'another control', async () => {
                const [now] = await controlsOf(beta)
                return now !== undefined && now !== before
              })
              await beta.ready()
            },
          },
          {
            title: 'its agent is hot-restarted',
            disturb: async () => {
              expect(await beta.reload()).to.equal('done')
            },
          },
        ]
        for (const { title, disturb } of disturbances)
          it(`stays registered while ${title}, and is served again`, async () => {
            let isOver = false
            let vanished = 0
            const watch = (async () => {
              while (!isOver) {
                if ((await instancesOf(service)).filter(({ healthy }) => healthy).length !== 1) vanished++
                await new Promise((resolve) => setTimeout(resolve, 20))
              }
            })()
            await disturb()
            await until(20_000, 'the client is served again', async () => {
              await provider.ask('list', service)
              return true
            })
            isOver = true
            await watch
            expect(vanished).to.equal(0)
          })

        it('goes on purpose, also after that', async () => {
          await until(20_000, 'it is taken back', async () => {
            await provider.ask('deregister', service, application.address, application.port)
            return (await instancesOf(service)).length === 0
          })
        })
      })

    it('keeps the localhost port that a client was told of through a hot restart and the death of control', async () => {
      const service = `told-${process.pid}`
      const application = await mesh.httpApplication(service, 'v1')
      const instance = `serviceName=${service}&ip=${application.address}&port=${application.port}`
      const beats = 'metadata=preserved.heart.beat.timeout%3D300000,preserved.ip.delete.timeout%3D600000'
      await fetch(`http://${registry.address}/nacos/v1/ns/instance?${instance}&${beats}`, { method: 'POST' })
      let port = 0
      await until(20_000, 'it is found', async () => {
        const reply = await fetch(`http://${face(alpha)}/nacos/v1/ns/instance/list?serviceName=${service}`)
        port = ((await reply.json()) as { hosts: { port: number }[] }).hosts[0]?.port ?? 0
        return port !== 0
      })
      const answer = async (): Promise<number | string> => {
        try {
          return (await call(alpha.options.address, port)).status
        } catch (error) {
          return String((error as NodeJS.ErrnoException).code)
        }
      }
      await until(20_000, 'it answers', async () => (await answer()) === 200)
      // what is opened in the last second is not on disk yet, and the next control cannot know of it
      const snapshotFile = join(alpha.stateDir, stateFiles.snapshot)
      await until(20_000, 'it is on disk', async () =>
        readFileSync(snapshotFile, 'utf8').includes(`@@${service}","virtualHost`),
      )
      // this client asks nobody again: what it was told must do
      let isOver = false
      const seen = new Map<number | string, number>()
      const calling = (async () => {
        while (!isOver) {
          const one = await answer()
          seen.set(one, (seen.get(one) ?? 0) + 1)
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      })()
      try {
        expect(await alpha.reload()).to.equal('done')
        const [before] = await controlsOf(alpha)
        await alpha.signal('control', 'SIGKILL')
        await until(20_000, 'another control', async () => {
          const [now] = await controlsOf(alpha)
          return now !== undefined && now !== before
        })
        await alpha.ready()
        const rounds = seen.get(200) ?? 0
        await until(20_000, 'more calls under the new control', async () => (seen.get(200) ?? 0) > rounds + 20)
      } finally {
        isOver = true
        await calling
      }
      expect([...seen.keys()]).to.deep.equal([200])
    })

    it('refuses to announce another host', async () => {
      const at = 'serviceName=elsewhere&ip=192.0.2.1&port=80'
      const reply = await fetch(`http://${face(beta)}/nacos/v1/ns/instance?${at}`, { method: 'POST' })
      expect([reply.status, await reply.text()]).to.deep.equal([
        400,
        '192.0.2.1:80: no address of this host; applications of this host only are announced here, register with 127.0.0.1 or with an address of this host',
      ])
    })
  })
