/**
 * The control process by itself: how it starts, refuses to start, takes changes up and lives with a broken disk. A fake
 * worker listens.
 */
import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type AdminClient, adminClient } from '../../../cli/admin-client.ts'
import { type LoopbackBlock, claimLoopbackBlock } from '../../../cli/launch/loopback-block.ts'
import { FakeWorker } from '../../support/control/fake-worker.ts'

interface Running {
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  output(): string
}

describe('the control process', function () {
  this.timeout(120_000)
  let folder: string
  let block: LoopbackBlock
  let address: string
  let admin: AdminClient
  const children: Running[] = []
  const workers: FakeWorker[] = []

  before(async () => {
    block = await claimLoopbackBlock(Math.random)
    address = block.address(1)
  })
  after(async () => block.release())

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-control-process-'))
    for (const name of ['services.d', 'rules.d', 'endpoints']) mkdirSync(join(folder, name))
    admin = adminClient(join(folder, 'run', 'admin.sock'), 5000)
  })

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') for (const one of children) console.log(one.output())
    for (const worker of workers.splice(0)) worker.close()
    for (const one of children.splice(0)) {
      one.child.kill('SIGKILL')
      await one.exited
    }
    rmSync(folder, { recursive: true, force: true })
  })

  function configure(change: object = {}): void {
    writeFileSync(
      join(folder, 'agent.yaml'),
      stringify({
        host: { name: 'host-1', address },
        registries: [{ name: 'files', type: 'file', directory: 'endpoints' }],
        outbound: { http: `${address}:15001`, address, services: [{ service: 'orders' }] },
        admin: { address: `${address}:15000` },
        runDir: 'run',
        stateDir: 'state',
        workers: 1,
        ...change,
      }),
    )
  }

  function start(...more: string[]): Running {
    const argv = [
      'agent/control/main.ts',
      '--config',
      join(folder, 'agent.yaml'),
      '--generation',
      '1',
      '--alone',
      ...more,
    ]
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (part: string) => (text += part))
    }
    const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
    const running = { child, exited, output: () => text }
    children.push(running)
    return running
  }

  async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = performance.now() + 30_000
    for (;;) {
      try {
        if (await condition()) return
      } catch {
        // not there yet
      }
      if (performance.now() > deadline) throw new Error(`${what}: not after 30 s`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  async function workerOf(running: Running): Promise<FakeWorker> {
    await until('control listens', () => running.output().includes('control is ready'))
    const worker = new FakeWorker(join(folder, 'run', 'control-1.sock'))
    workers.push(worker)
    await worker.until(() => worker.wholes > 0, 'snapshot')
    return worker
  }

  const ready = async (): Promise<{ status: number; problems: string[]; pending: string[] }> => {
    const reply = await admin.get('/ready?format=json')
    return { status: reply.status, ...(JSON.parse(reply.text) as { problems: string[]; pending: string[] }) }
  }

  it('refuses a broken configuration with every problem and exit code 3', async () => {
    configure({ workers: 'many', limts: {} })
    const running = start()
    expect(await running.exited).to.equal(3)
    expect(running.output()).to.match(/agent\.yaml:\d+:1 {2}workers: found "many"/)
    expect(running.output()).to.contain('nearest: limits')
    expect(running.output()).to.contain('E_CONFIG_INVALID')
  })

  it('refuses a run directory that cannot be made, with its code', async () => {
    writeFileSync(join(folder, 'file'), '')
    configure({ runDir: 'file/run' })
    const running = start()
    expect(await running.exited).to.equal(1)
    expect(running.output()).to.contain('E_RUN_DIRECTORY')
  })

  it('serves without a state directory and says that nothing is kept', async () => {
    writeFileSync(join(folder, 'file'), '')
    configure({ stateDir: 'file/state' })
    const running = start()
    const worker = await workerOf(running)
    expect(Object.keys(worker.snapshot!.listeners)).to.have.length(2)
    await until('the problem is shown', async () => (await ready()).problems.some((one) => one.includes('file/state')))
    await until('readiness', async () => (await ready()).status === 200)
    await until('the metric', async () =>
      (await admin.get('/stats/prometheus')).text.includes('hostmesh_state_write_failing{file="relay-targets.json"} 1'),
    )
  })

  it('does not start when its admin port is taken, and leaves the owner alone', async () => {
    const owner = createServer((_request, response) => response.end('mine'))
    await new Promise<void>((resolve) => owner.listen(15_000, address, resolve))
    configure()
    const running = start()
    expect(await running.exited).to.equal(1)
    expect(running.output()).to.contain(`E_LISTEN_IN_USE  ${address}:15000`)
    expect(await (await fetch(`http://${address}:15000/`)).text()).to.equal('mine')
    await new Promise((resolve) => owner.close(resolve))
  })

  it('does not start beside another one, which is not hurt', async () => {
    configure()
    const first = start()
    const worker = await workerOf(first)
    const second = start()
    expect(await second.exited).to.equal(1)
    expect(second.output()).to.contain('E_ALREADY_RUNNING')
    await until('readiness of the first', async () => (await ready()).status === 200)
    expect(worker.isClosed).to.equal(false)
  })

  it('takes files up when they change, keeps what is good of what is bad, and shows it', async () => {
    configure()
    const running = start()
    const worker = await workerOf(running)
    writeFileSync(join(folder, 'services.d', 'web.yaml'), 'service: web\nport: 8080\ncheck: { off: true }\n')
    await worker.until(() => Object.keys(worker.snapshot!.listeners).length === 3, 'inbound listener')
    writeFileSync(join(folder, 'services.d', 'web.yaml'), 'service: web\nprot: 8080\n')
    await until('problem shown', async () =>
      (await ready()).problems.some((one) => one.includes('web.yaml:2:1  prot: unknown key')),
    )
    expect(Object.keys(worker.snapshot!.listeners)).to.have.length(3)
    writeFileSync(join(folder, 'agent.yaml'), 'outbound: [\n')
    await until('problem shown', async () => (await ready()).problems.some((one) => one.includes('broken YAML')))
    expect((await admin.get('/stats/prometheus')).text).to.match(/hostmesh_config_problems [1-9]/)
    expect(Object.keys(worker.snapshot!.listeners)).to.have.length(3)
    writeFileSync(join(folder, 'services.d', 'web.yaml'), 'service: web\nport: 8080\ncheck: { off: true }\n')
    configure({
      outbound: { http: `${address}:15001`, address, services: [{ service: 'orders' }, { service: 'stock' }] },
    })
    running.child.kill('SIGHUP')
    await worker.until(() => Object.keys(worker.snapshot!.listeners).length === 4, 'new listener')
    await until('no problem left', async () => (await ready()).problems.length === 0)
  })

  it('comes back after SIGKILL with the same ports and takes its workers over', async () => {
    configure()
    writeFileSync(
      join(folder, 'endpoints', 'orders.yaml'),
      'service: orders\nendpoints: [{ address: 10.0.0.1, port: 80 }, { address: 10.0.0.2, port: 80 }]\n',
    )
    const first = start()
    const worker = await workerOf(first)
    const key = 'public/DEFAULT_GROUP@@orders'
    await worker.until(() => worker.snapshot!.services[key]?.endpoints.endpoints.length === 2, 'endpoints')
    const state = join(folder, 'state', 'snapshot.json')
    await until('snapshot on disk', () => readFileSync(state, 'utf8').includes('10.0.0.2'))
    const { listeners, version } = worker.snapshot!
    first.child.kill('SIGKILL')
    await first.exited
    // the registry is gone as well: everything comes from disk
    rmSync(join(folder, 'endpoints'), { recursive: true })
    const second = start()
    const again = await workerOf(second)
    expect(again.snapshot!.listeners).to.deep.equal(listeners)
    expect(again.snapshot!.version).to.be.at.least(version)
    expect(again.snapshot!.services[key]!.endpoints.endpoints).to.have.length(2)
  })

  it('ends on SIGTERM with exit code 0 and leaves no socket behind', async () => {
    configure()
    const running = start()
    await workerOf(running)
    running.child.kill('SIGTERM')
    expect(await running.exited).to.equal(0)
    expect(() => readFileSync(join(folder, 'run', 'admin.sock'))).to.throw('ENOENT')
  })

  it('needs less than a second of processor time, which is all it waits for, until it is ready on a warm state directory with 100 services', async () => {
    const services = Array.from({ length: 100 }, (_, index) => ({ service: `s${index}` }))
    for (let index = 0; index < 100; index++) {
      writeFileSync(
        join(folder, 'endpoints', `s${index}.yaml`),
        `service: s${index}\nendpoints: [{ address: 10.0.${index}.1, port: 80 }]\n`,
      )
    }
    configure({ outbound: { http: `${address}:15001`, address, services } })
    const spent: number[] = []
    for (let round = 0; round < 3; round++) {
      const running = start()
      await until('ready', () => running.output().includes('control is ready'))
      spent.push(processorMs(running.child.pid!))
      running.child.kill('SIGTERM')
      await running.exited
    }
    expect(Math.min(...spent.slice(1)), `processor time until ready: ${spent.join(', ')} ms`).to.be.lessThan(1000)
  })
})

/**
 * User and system time of a process so far; unlike the wall clock it does not count what other tests take from the
 * machine.
 */
function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  // utime and stime, in hundredths of a second (proc(5); USER_HZ is 100)
  return (Number(fields[11]) + Number(fields[12])) * 10
}
