/** Starts and stops real Nacos servers for tests, on loopback and on ports of their own. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { get } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { missingForNacos, prepareNacos } from './artifacts.ts'
import type { NacosArtifacts, NacosVersion } from './artifacts.ts'
import { reserveNacosPorts } from './ports.ts'
import type { NacosPorts } from './ports.ts'

export type { NacosVersion } from './artifacts.ts'

export interface NacosOptions {
  /** Default 2.3.1. 2.2.4 is a server from before ability negotiation, without auth plugin. */
  readonly version?: NacosVersion
  /** User and password `nacos` are needed then. 2.3.1 only. */
  readonly auth?: boolean
  /** Further lines of application.properties. */
  readonly properties?: Readonly<Record<string, string>>
  /** Heap in MB, default 256. */
  readonly heapMb?: number
}

export interface RunningNacos {
  readonly version: NacosVersion
  readonly port: number
  readonly grpcPort: number
  /** `127.0.0.1:PORT` */
  readonly address: string
  /** `http://127.0.0.1:PORT/nacos` */
  readonly url: string
  readonly pid: number
  /** SIGTERM and wait; the home folder is removed. */
  stop(): Promise<void>
  /** SIGKILL and wait; the home folder stays for `start()`. */
  kill(): Promise<void>
  /** Runs again on the same ports and home, after `kill()` or `end()`. Resolves when it is ready. */
  start(): Promise<void>
  /** SIGTERM and wait; the home folder stays for `start()`. */
  end(): Promise<void>
  /** SIGSTOP and SIGCONT. */
  freeze(): void
  thaw(): void
  /** The last lines that it wrote. */
  tail(): string
}

/** How long a server may take until it answers; 5 s on an idle machine. */
const readyTimeoutMs = 180_000

/** One server, ready. Ends with the test process at the latest, whatever happens to it. */
export async function startNacos(options: NacosOptions = {}): Promise<RunningNacos> {
  const artifacts = await prepareNacos(options.version ?? '2.3.1')
  const server = createServer(artifacts, await reserveNacosPorts(), options, undefined)
  await server.start()
  return server
}

/** Servers of one cluster (embedded storage), all ready. */
export async function startNacosCluster(size: number, options: NacosOptions = {}): Promise<RunningNacos[]> {
  const artifacts = await prepareNacos(options.version ?? '2.3.1')
  const ports: NacosPorts[] = []
  for (let index = 0; index < size; index++) ports.push(await reserveNacosPorts())
  const members = ports.map((port) => `127.0.0.1:${port.http}`)
  const servers = ports.map((port) => createServer(artifacts, port, options, members))
  await startOneAfterAnother(servers)
  return servers
}

/** Virtual machines that start at the same moment keep each other from it on a small machine. */
const startPauseMs = 3000

/**
 * Members of a cluster, one after another. None listens before it knows the others, so there is nothing to wait for
 * between them. Resolves when all are ready.
 */
export async function startOneAfterAnother(servers: readonly RunningNacos[]): Promise<void> {
  await Promise.all(servers.map((server, index) => delay(index * startPauseMs).then(() => server.start())))
}

/** What is left to remove when this process ends with servers running. */
const leftovers = new Set<() => void>()
process.once('exit', () => {
  for (const remove of leftovers)
    try {
      remove()
    } catch {
      // a server that is being killed may write a last file; a folder in the temporary directory is no failure
    }
})

const shared = new Map<NacosVersion, Promise<RunningNacos>>()

/**
 * The server that all specs of one test process share: started by the first who asks, ended with the process. Use a
 * namespace of your own in it, and leave it running.
 */
export function sharedNacos(version: NacosVersion = '2.3.1'): Promise<RunningNacos> {
  let server = shared.get(version)
  if (server === undefined) {
    server = startNacos({ version })
    shared.set(version, server)
  }
  return server
}

/**
 * For a `before` hook: skips its suite, by name, where no real server can run, and gives the rest of the hook time to
 * fetch and start one.
 */
export async function needsNacos(context: Mocha.Context): Promise<void> {
  context.timeout(420_000)
  const reason = await missingForNacos()
  if (reason === undefined) return
  console.log(`skipped: ${reason}`)
  context.skip()
}

function createServer(
  artifacts: NacosArtifacts,
  ports: NacosPorts,
  options: NacosOptions,
  members: readonly string[] | undefined,
): RunningNacos {
  if (options.auth === true && artifacts.version !== '2.3.1') throw new Error('only 2.3.1 has the auth plugin')
  const home = mkdtempSync(join(tmpdir(), `hostmesh-nacos-${ports.http}-`))
  const logFile = join(home, 'console.log')
  // the class-data archive is written when a server ends; nobody must read half of one
  const draft = `${artifacts.archive}.${process.pid}.${ports.http}`
  writeHome(home, ports, options, members)
  let child: ChildProcess | undefined
  let gone: Promise<void> = Promise.resolve()
  let wasReady = false

  const tail = (): string => {
    try {
      return readFileSync(logFile, 'utf8').split('\n').slice(-25).join('\n')
    } catch {
      return ''
    }
  }

  const start = async (): Promise<void> => {
    const log = openSync(logFile, 'a')
    const started = spawn('java', javaArguments(artifacts, draft, home, options, members !== undefined), {
      cwd: home,
      stdio: ['pipe', log, log],
    })
    closeSync(log)
    child = started
    gone = new Promise((resolve) => started.once('exit', () => resolve()))
    // it may outlive every test, but not this process: its standard input ends with us
    started.unref()
    ;(started.stdin as Socket | null)?.unref()
    started.stdin?.on('error', () => undefined)
    await ready(started)
    wasReady = true
  }

  /** On an overloaded machine the server's own database may give up while it starts; that is tried again. */
  const startPatiently = async (): Promise<void> => {
    for (let tries = 1; ; tries++) {
      try {
        return await start()
      } catch (error) {
        if (tries === 5) throw error
        await signal('SIGKILL')
        // a database that was half made cannot be opened again
        if (!wasReady) rmSync(join(home, 'data'), { recursive: true, force: true })
      }
    }
  }

  const ready = async (started: ChildProcess): Promise<void> => {
    const deadline = Date.now() + readyTimeoutMs
    while (!(await isUp(ports.http))) {
      if (started.exitCode !== null || started.signalCode !== null)
        throw new Error(`Nacos ${artifacts.version} ended while it started:\n${tail()}`)
      if (Date.now() > deadline) {
        await signal('SIGKILL')
        throw new Error(`Nacos ${artifacts.version} was not ready after ${readyTimeoutMs} ms:\n${tail()}`)
      }
      await delay(100)
    }
  }

  const signal = async (name: NodeJS.Signals): Promise<void> => {
    if (child === undefined) return
    child.ref()
    child.kill(name)
    await gone
    child = undefined
    if (existsSync(draft)) renameSync(draft, artifacts.archive)
  }

  const remove = (): void => {
    child?.kill('SIGKILL')
    ports.release()
    leftovers.delete(remove)
    rmSync(draft, { force: true })
    // a killed server may still write while its folder is emptied
    rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
  leftovers.add(remove)

  return {
    version: artifacts.version,
    port: ports.http,
    grpcPort: ports.grpc,
    address: `127.0.0.1:${ports.http}`,
    url: `http://127.0.0.1:${ports.http}/nacos`,
    get pid() {
      return child?.pid ?? 0
    },
    start: startPatiently,
    end: () => signal('SIGTERM'),
    kill: () => signal('SIGKILL'),
    stop: async () => {
      await signal('SIGTERM')
      remove()
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    tail,
  }
}

function javaArguments(
  artifacts: NacosArtifacts,
  archiveDraft: string,
  home: string,
  options: NacosOptions,
  isCluster: boolean,
): readonly string[] {
  const archive = existsSync(artifacts.archive)
    ? [`-XX:SharedArchiveFile=${artifacts.archive}`, '-Xshare:auto']
    : [`-XX:ArchiveClassesAtExit=${archiveDraft}`]
  return [
    `-Xmx${options.heapMb ?? 256}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    ...archive,
    `-Dnacos.home=${home}`,
    `-Dnacos.logs.path=${join(home, 'logs')}`,
    '-Dnacos.server.ip=127.0.0.1',
    `-Dnacos.standalone=${!isCluster}`,
    ...(isCluster ? ['-DembeddedStorage=true'] : []),
    '-cp',
    artifacts.classPath,
    'realnacos.NacosMain',
    `--spring.config.additional-location=file:${join(home, 'conf')}/`,
  ]
}

function writeHome(
  home: string,
  ports: NacosPorts,
  options: NacosOptions,
  members: readonly string[] | undefined,
): void {
  const conf = join(home, 'conf')
  mkdirSync(conf, { recursive: true })
  mkdirSync(join(home, 'logs'))
  const properties: Record<string, string> = {
    'server.port': String(ports.http),
    'server.servlet.contextPath': '/nacos',
    'server.address': '127.0.0.1',
    'server.tomcat.accesslog.enabled': 'false',
    'server.tomcat.basedir': home,
    'server.error.include-message': 'ALWAYS',
    'management.metrics.export.elastic.enabled': 'false',
    'management.metrics.export.influx.enabled': 'false',
    'nacos.core.auth.system.type': 'nacos',
    'nacos.core.auth.enabled': String(options.auth === true),
    'nacos.core.auth.caching.enabled': 'false',
    'nacos.core.auth.enable.userAgentAuthWhite': 'false',
    'nacos.core.auth.server.identity.key': 'test-identity',
    'nacos.core.auth.server.identity.value': 'test-identity-value',
    // the key of throw-away servers on loopback
    'nacos.core.auth.plugin.nacos.token.secret.key': Buffer.from('test-only-secret-key-of-32-bytes-or-more').toString(
      'base64',
    ),
    'nacos.core.auth.plugin.nacos.token.expire.seconds': '18000',
    ...options.properties,
  }
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(join(conf, 'application.properties'), lines.join(''))
  if (members !== undefined) writeFileSync(join(conf, 'cluster.conf'), `${members.join('\n')}\n`)
}

function isUp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(
      { host: '127.0.0.1', port, path: '/nacos/v1/ns/operator/metrics', timeout: 2000, agent: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve(text.includes('"UP"')))
        response.on('error', () => resolve(false))
      },
    )
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
  })
}
