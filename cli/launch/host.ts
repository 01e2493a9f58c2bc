/**
 * One "host" on this machine: a loopback address, a directory with configuration, state and sockets, and the real
 * `hostmesh watchdog` or `center` as a child process. Hosts on different loopback addresses use the same port numbers,
 * as real hosts do.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { MeshError } from '../../contracts/errors.ts'
import type { WatchdogState } from '../../contracts/handoff.ts'
import type { AppProtocol } from '../../contracts/protocols.ts'
import { runFiles } from '../../contracts/run-directory.ts'
import { isRunning } from '../../native/process-facts.ts'
import { readRunRecord } from '../../watchdog/supervise/run-record.ts'
import { type AdminClient, adminClient, adminJson } from '../admin-client.ts'
import { entryPoint } from '../entry-point.ts'
import { askWatchdog } from '../watchdog-client.ts'

export interface HostApplication {
  readonly service: string
  readonly port: number
  readonly protocol: AppProtocol
  readonly version: string
  readonly address: string
}

export interface HostOptions {
  readonly name: string
  readonly role: 'agent' | 'center'
  /** Loopback address of this host; every listener binds it. */
  readonly address: string
  /** Created if it is not there; holds everything of this host. */
  readonly directory: string
  /** `registries:` of the configuration, as plain data. */
  readonly registries: readonly object[]
  readonly applications: readonly HostApplication[]
  /** Services with a localhost port of their own. */
  readonly outbound: readonly { service: string; protocol: AppProtocol }[]
  /** Relay addresses of centers. */
  readonly centers: readonly string[]
  /** Calls of this user of the machine are those of the first application. */
  readonly user?: number | undefined
  /** Text of `rules.d/demo.yaml`. */
  readonly rules?: string
  /** `watchdog:` of the configuration, where `extra` has none. */
  readonly watchdog?: Readonly<Record<string, unknown>>
  /** Merged over the configuration at the top level. */
  readonly extra?: Readonly<Record<string, unknown>>
  /** Arguments before `cli/main.ts`' own, for coverage and the like. */
  readonly command?: readonly string[]
}

const readyTimeoutMs = 60_000
const pollMs = 50
/** Above the watchdog's own deadline for its stop. */
const killAfterMs = 15_000
/** Last lines of the log that are kept in memory for error reports. */
const keptLogLines = 200

export class DemoHost {
  readonly options: HostOptions
  readonly admin: AdminClient
  readonly configPath: string
  readonly runDir: string
  readonly stateDir: string
  private child: ChildProcess | undefined
  private isStopping = false
  private exited: Promise<void> = Promise.resolve()
  private readonly log: string[] = []

  constructor(options: HostOptions) {
    this.options = options
    this.runDir = join(options.directory, 'run')
    this.stateDir = join(options.directory, 'state')
    this.configPath = join(options.directory, `${options.role}.yaml`)
    this.admin = adminClient(join(this.runDir, runFiles.admin), 5000)
  }

  /** Writes the files and starts the process; resolves at once. `ready()` waits. */
  start(): void {
    this.isStopping = false
    this.writeFiles()
    const command = this.options.command ?? [entryPoint('cli/main')]
    const role = this.options.role === 'center' ? 'center' : 'watchdog'
    const child = spawn(process.execPath, [...command, role, '-c', this.configPath], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_ENV: 'production' },
    })
    this.child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        this.log.push(...text.split('\n').filter((line) => line !== ''))
        this.log.splice(0, Math.max(0, this.log.length - keptLogLines))
      })
    }
    this.exited = new Promise((resolve) => child.once('exit', () => resolve()))
  }

  writeFiles(): void {
    const { address, directory, name, role } = this.options
    const services = join(directory, 'services.d')
    for (const path of [directory, services, join(directory, 'rules.d')]) mkdirSync(path, { recursive: true })
    for (const path of [this.runDir, this.stateDir]) mkdirSync(path, { recursive: true, mode: 0o700 })
    const config: Record<string, unknown> = {
      role,
      host: { name, address, zone: 'demo-1', region: 'demo' },
      registries: this.options.registries,
      endpoints: { allowLoopbackEndpoints: true },
      outbound: {
        http: role === 'agent' ? `${address}:15001` : 'off',
        address,
        services: this.options.outbound,
      },
      inbound: { address },
      admin: { address: `${address}:15000` },
      workers: 1,
      runDir: this.runDir,
      stateDir: this.stateDir,
      servicesDir: services,
      rulesDir: join(directory, 'rules.d'),
      ...(role === 'center'
        ? {
            api: { address: `${address}:15014` },
            relay: { address: `${address}:15443`, allowedNetworks: ['127.0.0.0/8'] },
          }
        : { center: { addresses: this.options.centers } }),
      ...(this.options.watchdog === undefined ? {} : { watchdog: this.options.watchdog }),
      ...this.options.extra,
    }
    writeFileSync(this.configPath, stringify(config))
    if (this.options.rules !== undefined) writeFileSync(join(directory, 'rules.d', 'demo.yaml'), this.options.rules)
    const files = new Set<string>()
    for (const application of this.options.applications) {
      const { service, version } = application
      this.addApplication(application, files.has(service) ? `${service}-${version}` : service)
      files.add(service)
    }
  }

  /** Puts a file into `services.d`; the running agent notices it. */
  addApplication(application: HostApplication, fileName: string): void {
    writeFileSync(
      join(this.options.directory, 'services.d', `${fileName}.yaml`),
      stringify({
        service: application.service,
        address: application.address,
        port: application.port,
        protocol: application.protocol,
        check: checkOf(application),
        metadata: { version: application.version },
        ...(this.options.user !== undefined && application === this.options.applications[0]
          ? { user: this.options.user }
          : {}),
      }),
    )
  }

  /** Resolves when `/ready` says yes. Rejects with the last log lines when the process ends or the time is over. */
  async ready(timeoutMs: number = readyTimeoutMs): Promise<void> {
    let last = 'no answer yet'
    await this.until(
      timeoutMs,
      () => last,
      async () => {
        const reply = await this.admin.get('/ready?format=json')
        last = reply.text.trim()
        return reply.status === 200
      },
    )
  }

  /** Polls until `check` is true; a check that throws counts as not yet. */
  async until(timeoutMs: number, state: () => string, check: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + timeoutMs
    let problem = ''
    while (performance.now() < deadline) {
      if (this.isStopping || (this.child?.exitCode !== null && this.child?.exitCode !== undefined)) break
      try {
        if (await check()) return
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error)
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
    throw new MeshError(
      'E_GENERATION_FAILED',
      [`${this.options.name}: ${state()} ${problem}`, ...this.lastLines(40)].join('\n'),
    )
  }

  async json(path: string): Promise<unknown> {
    return adminJson(this.admin, path)
  }

  /** Localhost port of an outbound service. */
  async port(service: string): Promise<number> {
    const { ports } = (await this.json('/ports?format=json')) as {
      ports: { direction: string; service: string; port: number }[]
    }
    const row = ports.find((one) => one.direction === 'outbound' && one.service.endsWith(`@@${service}`))
    if (row === undefined)
      throw new MeshError('E_ROUTE_UNKNOWN_SERVICE', `${this.options.name}: no port for ${service}`)
    return row.port
  }

  async watchdogState(): Promise<WatchdogState> {
    const reply = await askWatchdog(this.runDir, { type: 'status' }, 5000)
    if (reply.type !== 'state') throw new MeshError('E_WIRE', `unexpected answer "${reply.type}"`)
    return reply.state
  }

  async signal(role: 'generation' | 'worker' | 'control', signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    await askWatchdog(this.runDir, { type: 'signal', target: { role, index: 0 }, signal }, 5000)
  }

  /** Resolves when the former generation is gone, and the control that leads now answers. */
  async reload(): Promise<string> {
    const reply = await askWatchdog(this.runDir, { type: 'reload', wait: 'gone' }, 60_000)
    if (reply.type !== 'outcome') return reply.type
    const isAnswered = async (): Promise<boolean> => (await this.admin.get('/ready')).status > 0
    await this.until(readyTimeoutMs, () => 'no answer yet', isAnswered)
    return reply.report.outcome
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  /** Resolves when the process started last has ended. */
  whenExited(): Promise<void> {
    return this.exited
  }

  get pid(): number | undefined {
    return this.child?.pid
  }

  lastLines(count: number): string[] {
    return this.log.slice(-count)
  }

  /** SIGKILL to the watchdog itself; its children live on. */
  killWatchdog(): void {
    this.child?.kill('SIGKILL')
  }

  /**
   * Ends the watchdog and everything below it, and waits for it. `deadlineMs`: how long connections may drain;
   * undefined = as the watchdog does by itself.
   */
  async stop(deadlineMs?: number): Promise<void> {
    const { child } = this
    this.isStopping = true
    if (child === undefined) return
    if (deadlineMs !== undefined) await this.askToStop(deadlineMs)
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
    await this.exited
    clearTimeout(timer)
    // Ours may have been killed: then another one, started by a drill, may have adopted its processes, or nobody has.
    await this.askToStop(deadlineMs ?? 0)
    for (const { children } of readRunRecord(this.runDir)?.generations ?? []) {
      for (const { pid, startedAtTicks } of children) if (isRunning(pid, startedAtTicks)) process.kill(pid, 'SIGKILL')
    }
  }

  private async askToStop(deadlineMs: number): Promise<void> {
    await askWatchdog(this.runDir, { type: 'stop', deadlineMs }, killAfterMs).catch(() => {
      // nobody is there
    })
  }
}

function checkOf({ protocol }: HostApplication): object {
  if (protocol === 'udp') return { off: true }
  return protocol === 'http' ? { http: '/health', interval: '1s' } : { tcp: true, interval: '1s' }
}
