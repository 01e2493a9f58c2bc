/** Whose port came up just before everything died: its callers wait for it, and are not cut off by the next worker. */
import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import { inboundPort } from '../../support/mesh/host-facts.ts'
import { type DemoApplication, type DemoHost, Mesh, call, until } from '../../support/mesh/mesh.ts'

describe('an inbound port that the snapshot on disk does not know yet', function () {
  this.timeout(180_000)
  let mesh: Mesh
  let host: DemoHost
  let application: DemoApplication

  before(async () => {
    mesh = await Mesh.openOnFiles()
    host = await mesh.startedHost('host')
    application = await mesh.httpApplication('late', 'v1')
  })
  after(() => mesh?.close())
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const workerPid = async (): Promise<number | undefined> =>
    (await host.watchdogState()).generations[0]?.children.find(({ role }) => role === 'worker')?.pid

  it('stays open when the worker dies, and answers who connects meanwhile once control is heard', async () => {
    const { address } = host.options
    const onDisk = join(host.stateDir, 'snapshot.json')
    const before = join(host.stateDir, 'before.json')
    await until(10_000, 'a snapshot on disk', async () => existsSync(onDisk))
    copyFileSync(onDisk, before)
    host.addApplication(application, 'late')
    await until(15_000, 'its port listens', async () => {
      return (await call(address, await inboundPort(host, 'late'))).status === 200
    })
    const port = await inboundPort(host, 'late')
    await host.signal('control', 'SIGSTOP')
    copyFileSync(before, onDisk)
    const former = await workerPid()
    await host.signal('worker', 'SIGKILL')
    await until(60_000, 'another worker serves', async () => {
      const pid = await workerPid()
      return pid !== undefined && pid !== former && !(await host.watchdogState()).relay.isRelaying
    })
    const caller = connect(port, address)
    const answer = new Promise<string>((resolve, reject) => {
      caller.once('data', (bytes: Buffer) => resolve(bytes.toString()))
      caller.once('error', reject)
    })
    caller.write('GET / HTTP/1.1\r\nHost: late\r\n\r\n')
    await host.signal('control', 'SIGCONT')
    expect(await answer).to.match(/^HTTP\/1\.1 200 /)
    caller.destroy()
  })

  it('is closed when the application has left as well, so that nobody waits at it', async () => {
    const { address } = host.options
    const port = await inboundPort(host, 'late')
    const former = await workerPid()
    await host.signal('control', 'SIGSTOP')
    rmSync(join(host.options.directory, 'services.d', 'late.yaml'))
    copyFileSync(join(host.stateDir, 'before.json'), join(host.stateDir, 'snapshot.json'))
    await host.signal('generation', 'SIGKILL')
    await until(60_000, 'the next generation serves', async () => {
      const pid = await workerPid()
      return pid !== undefined && pid !== former && (await host.admin.get('/ready')).status === 200
    })
    await until(20_000, 'nobody listens', async () => (await outcome(address, port)) === 'ECONNREFUSED')
  })
})

/** Of one attempt to connect. */
function outcome(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const caller = connect(port, address)
    caller.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    caller.once('connect', () => {
      caller.destroy()
      resolve('connected')
    })
  })
}
