/**
 * A center as `hostmesh center` starts it: under its watchdog, with a relay, the rules API, hosts' reports and a
 * registry of files, one for each service. Its control is measured.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { adminClient } from '../../cli/admin-client.ts'
import { askWatchdog } from '../../cli/watchdog-client.ts'
import { freePort, scratchFolder } from '../processes.ts'
import { memoryOf, type CenterFigures, type CenterUnderTest } from './center-under-test.ts'

const instances = 10
const startWithinMs = 120_000

export class WholeCenter implements CenterUnderTest {
  readonly what = 'a whole center, over a registry of files'
  readonly token = 'b'.repeat(40)
  port = 0
  private readonly folder = scratchFolder('center')
  private readonly config = join(this.folder.path, 'center.yaml')
  private readonly runDir = join(this.folder.path, 'run')
  private readonly files = join(this.folder.path, 'endpoints')
  private readonly services: number
  private watchdog: ChildProcess | undefined
  private killed: number | undefined

  constructor(services: number) {
    this.services = services
  }

  async start(): Promise<void> {
    if (this.watchdog === undefined) await this.startAll()
    const deadline = performance.now() + startWithinMs
    while (!(await this.isReady())) {
      if (performance.now() > deadline) throw new Error('the center is not ready')
      await pause(100)
    }
  }

  change(service: string, at: number): void {
    this.write(Number(service.split('-').at(-1)), at)
  }

  async figures(): Promise<CenterFigures> {
    const { text } = await this.admin().get('/stats/prometheus')
    const sent = [...text.matchAll(/^hostmesh_xds_bytes_total\S* (\S+)$/gm)]
    return { sentBytes: sent.reduce((sum, [, value]) => sum + Number(value), 0), ...memoryOf(await this.control()) }
  }

  async kill(): Promise<void> {
    this.killed = await this.control()
    process.kill(this.killed, 'SIGKILL')
  }

  async close(): Promise<void> {
    const ended = once(this.watchdog!, 'exit')
    this.watchdog!.kill('SIGTERM')
    await ended
    this.folder.close()
  }

  private async startAll(): Promise<void> {
    const { path } = this.folder
    for (const name of ['run', 'state', 'rules.d', 'services.d', 'endpoints'])
      mkdirSync(join(path, name), { mode: 0o700 })
    for (let index = 0; index < this.services; index++) this.write(index)
    this.port = await freePort()
    const [relay, rules] = [await freePort(), await freePort()]
    const tokensFile = join(path, 'tokens')
    writeFileSync(tokensFile, JSON.stringify([{ user: 'fleet', token: this.token, role: 'host' }]), { mode: 0o600 })
    writeFileSync(
      this.config,
      JSON.stringify({
        role: 'center',
        host: { name: 'center', address: '127.0.0.1' },
        registries: [{ name: 'files', type: 'file', directory: this.files }],
        relay: { address: `127.0.0.1:${relay}`, allowedNetworks: ['127.0.0.0/8'] },
        xds: { address: `127.0.0.1:${this.port}`, tokensFile },
        rulesApi: { address: `127.0.0.1:${rules}`, tokensFile },
        admin: { address: 'off', socket: this.socket() },
        metrics: { address: 'off' },
        readiness: { address: 'off' },
        workers: 1,
        runDir: 'run',
        stateDir: 'state',
      }),
    )
    const main = join(import.meta.dirname, '../../cli/main.ts')
    this.watchdog = spawn(process.execPath, [main, 'center', '-c', this.config], { stdio: 'ignore' })
  }

  private socket(): string {
    return join(this.folder.path, 'admin.sock')
  }

  private admin(): ReturnType<typeof adminClient> {
    return adminClient(this.socket(), 10_000)
  }

  private async isReady(): Promise<boolean> {
    try {
      return (await this.control()) !== this.killed && (await this.admin().get('/ready')).status === 200
    } catch {
      return false
    }
  }

  /** Its process number. */
  private async control(): Promise<number> {
    const reply = await askWatchdog(this.runDir, { type: 'status' }, 5000)
    const children = reply.type === 'state' ? reply.state.generations.flatMap((one) => one.children) : []
    const found = children.find(({ isReady, role }) => role === 'control' && isReady)
    if (found === undefined) throw new Error('no control is ready')
    return found.pid
  }

  private write(index: number, at?: number): void {
    const endpoints = Array.from({ length: instances }, (_, one) => ({
      address: `10.${index >> 8}.${index & 255}.${one}`,
      port: 8080,
      version: 'v1',
      zone: 'bj-1',
      metadata: { team: 'shop', ...(one === 0 && at !== undefined && { at: String(at) }) },
    }))
    const file = join(this.files, `service-${index}.json`)
    writeFileSync(`${file}.draft`, JSON.stringify({ service: `service-${index}`, endpoints }))
    renameSync(`${file}.draft`, file)
  }
}
