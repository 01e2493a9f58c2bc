/**
 * Starts and stops real ZooKeeper servers for tests, alone or as an ensemble, on loopback and on ports of their own.
 * The jars come from Maven Central, into Maven's own repository.
 */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '../free-port.ts'

const run = promisify(execFile)
const here = dirname(fileURLToPath(import.meta.url))
const cacheRoot = join(here, '../../../.cache')
const readyTimeoutMs = 90_000

export interface ZooKeeperServer {
  readonly port: number
  /** TLS port, 0 without TLS. */
  readonly securePort: number
  readonly pid: number
  /** SIGKILL and wait; the data stay for `start()`. */
  kill(): Promise<void>
  /** Resolves when the server takes part. */
  start(): Promise<void>
  freeze(): void
  thaw(): void
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

export interface ZooKeeperServerOptions {
  /** PEM files of the server; with them it has a TLS port that asks for no client certificate. */
  readonly tls?: { readonly keyAndCert: string; readonly ca: string }
  /** Heap in MB, default 128. */
  readonly heapMb?: number
  /** ms, default 500: sessions live 2 to 20 of them. */
  readonly tickMs?: number
}

/** For a `before` hook: skips its suite, by name, where no ZooKeeper can run. */
export async function needsZooKeeper(context: Mocha.Context): Promise<void> {
  context.timeout(420_000)
  for (const tool of ['java', 'mvn'])
    try {
      await run(tool, [tool === 'mvn' ? '--version' : '-version'])
    } catch {
      console.log(`skipped: no real ZooKeeper: ${tool} is not installed (Java 11 or newer and Maven are needed)`)
      context.skip()
    }
}

export async function startZooKeeper(options: ZooKeeperServerOptions = {}): Promise<ZooKeeperServer> {
  const server = createServer(await classPath(), await ports(), [], options)
  await server.start()
  return server
}

/** Members of one ensemble, all ready. */
export async function startEnsemble(size: number): Promise<ZooKeeperServer[]> {
  const jars = await classPath()
  const members: Ports[] = []
  for (let index = 0; index < size; index++) members.push(await ports())
  const servers = members.map((own) => createServer(jars, own, members, {}))
  // none is ready before a majority runs
  await Promise.all(servers.map((server) => server.start()))
  return servers
}

interface Ports {
  readonly client: number
  readonly secure: number
  readonly quorum: number
  readonly election: number
}

async function ports(): Promise<Ports> {
  return { client: await freePort(), secure: await freePort(), quorum: await freePort(), election: await freePort() }
}

const leftovers = new Set<() => void>()
process.once('exit', () => {
  for (const remove of leftovers) remove()
})

function createServer(
  jars: string,
  own: Ports,
  members: readonly Ports[],
  options: ZooKeeperServerOptions,
): ZooKeeperServer {
  const home = mkdtempSync(join(tmpdir(), 'hostmesh-zookeeper-'))
  const data = join(home, 'data')
  mkdirSync(data)
  const lines = [
    `tickTime=${options.tickMs ?? 500}`,
    'initLimit=40',
    'syncLimit=20',
    `dataDir=${data}`,
    'clientPortAddress=127.0.0.1',
    `clientPort=${own.client}`,
    'admin.enableServer=false',
    '4lw.commands.whitelist=srvr,ruok',
    'maxClientCnxns=0',
    'forceSync=no',
    ...members.map(({ quorum, election }, index) => `server.${index + 1}=127.0.0.1:${quorum}:${election}`),
  ]
  if (members.length > 0) writeFileSync(join(data, 'myid'), String(members.indexOf(own) + 1))
  if (options.tls !== undefined) {
    const { keyAndCert, ca } = options.tls
    lines.push(
      `secureClientPort=${own.secure}`,
      'secureClientPortAddress=127.0.0.1',
      'serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory',
      `ssl.keyStore.location=${keyAndCert}`,
      'ssl.keyStore.type=PEM',
      `ssl.trustStore.location=${ca}`,
      'ssl.trustStore.type=PEM',
      'ssl.clientAuth=none',
    )
  }
  const file = join(home, 'zoo.cfg')
  writeFileSync(file, `${lines.join('\n')}\n`)
  let child: ChildProcess | undefined
  let log = ''
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const present = child
    if (present === undefined || present.exitCode !== null || present.signalCode !== null) return
    const ended = once(present, 'exit')
    present.kill('SIGCONT')
    present.kill(signal)
    await ended
  }
  const remove = (): void => {
    child?.kill('SIGKILL')
    rmSync(home, { recursive: true, force: true })
  }
  leftovers.add(remove)
  return {
    port: own.client,
    securePort: options.tls === undefined ? 0 : own.secure,
    get pid() {
      return child?.pid ?? 0
    },
    kill: () => end('SIGKILL'),
    start: async () => {
      child = spawn(
        'java',
        [
          `-Xmx${options.heapMb ?? 128}m`,
          '-XX:TieredStopAtLevel=1',
          '-cp',
          jars,
          'org.apache.zookeeper.server.quorum.QuorumPeerMain',
          file,
        ],
        { cwd: home, stdio: ['ignore', 'pipe', 'pipe'] },
      )
      const keep = (bytes: Buffer): void => void (log = (log + bytes.toString()).slice(-8000))
      child.stdout!.on('data', keep)
      child.stderr!.on('data', keep)
      const deadline = performance.now() + readyTimeoutMs
      while (!(await fourLetters(own.client, 'srvr')).includes('Mode:')) {
        if (child.exitCode !== null || performance.now() > deadline)
          throw new Error(`ZooKeeper did not become ready: ${log}`)
        await delay(50)
      }
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    stop: async () => {
      await end('SIGKILL')
      leftovers.delete(remove)
      rmSync(home, { recursive: true, force: true })
    },
  }
}

/** Answer of a four-letter command, empty where nobody answers. */
function fourLetters(port: number, word: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.setTimeout(2000, () => socket.destroy())
    socket.on('connect', () => socket.write(word))
    socket.on('data', (bytes: Buffer) => void (text += bytes.toString()))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
  })
}

let jars: Promise<string> | undefined

function classPath(): Promise<string> {
  jars ??= fetchJars()
  return jars
}

async function fetchJars(): Promise<string> {
  const pom = join(here, 'pom.xml')
  const hash = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12)
  const list = join(cacheRoot, `zookeeper-${hash}.txt`)
  const known = existsSync(list) ? readFileSync(list, 'utf8').trim() : ''
  if (known !== '' && known.split(':').every((jar) => existsSync(jar))) return known
  mkdirSync(cacheRoot, { recursive: true })
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath'
  await run('mvn', ['-B', '-ntp', '-q', '-f', pom, goal, '-DincludeScope=runtime', `-Dmdep.outputFile=${list}`], {
    timeout: 300_000,
  })
  return readFileSync(list, 'utf8').trim()
}
