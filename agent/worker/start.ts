/**
 * One worker process: the data plane between its control (what to do) and its watchdog (sockets and connections that
 * outlive it).
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { describeError, MeshError } from '../../contracts/errors.ts'
import { acceptBacklog } from '../../contracts/handoff.ts'
import type { Signal } from '../../contracts/telemetry.ts'
import { runFiles, stateFiles } from '../../contracts/run-directory.ts'
import { loadNative } from '../../native/descriptors.ts'
import { trimAllocator } from '../../native/allocator.ts'
import { compactAfterStart, releaseIdleMemory } from '../../native/idle-memory.ts'
import { releaseStartupPages } from '../../native/startup-pages.ts'
import { CoveredShards } from './handoff/covered-shards.ts'
import { connectWatchdog } from './handoff/watchdog-link.ts'
import type { WatchdogLink } from './handoff/watchdog-link.ts'
import { ControlClient } from './link/control-client.ts'
import { readSnapshotFile } from './link/snapshot-file.ts'
import { TelemetryLink } from './link/telemetry-link.ts'
import type { BoundListener } from './listen/bound-listeners.ts'
import { GrowthWatch } from './observe/growth-watch.ts'
import { lineLog } from './observe/line-log.ts'
import { RestWatch } from './observe/rest-watch.ts'
import { Deaths, startOfProcess } from './transport/epoll/deaths.ts'
import { trialFlag } from './transport/epoll/trial-flag.ts'
import { trial } from './transport/epoll/trial.ts'
import { wantedTransports } from './transport/select-transports.ts'
import { ReadTurns } from './udp/read-turns.ts'
import { Worker } from './worker.ts'

/** How long a worker without a watchdog lets connections end after SIGTERM. */
const drainMs = 10_000
/** Longest time that control may take to accept the last spans and log records. */
const farewellMs = 250
/** And the file system the last lines of the access log. */
const lastLinesMs = 1000
/** After the first take-over is done: what only the start needed is not needed any more. */
const trimAfterMs = 1000
/** So long a worker of a host with certificates waits for them before it serves: control starts beside it. */
const certificatesMs = 3000
const restLookMs = 30_000
const growthLookMs = 1000

const { values: argv } = parseArgs({
  options: {
    'run-dir': { type: 'string' },
    'state-dir': { type: 'string' },
    generation: { type: 'string', default: '1' },
    index: { type: 'string', default: '0' },
    workers: { type: 'string', default: '1' },
    /** `auto`, `epoll`, `raw` or `public`. */
    transport: { type: 'string', default: 'auto' },
    /** Nobody supervises: no watchdog is looked for. */
    alone: { type: 'boolean', default: false },
  },
})
const runDir = argv['run-dir']
const stateDir = argv['state-dir'] ?? runDir
const generation = Number(argv.generation)
const index = Number(argv.index)
const logger = lineLog(2, { generation, index })
const log = logger.write

function fail(message: string): never {
  log('fatal', message)
  process.exit(1)
}

/** A filter of a user threw it where nobody waited for it. */
let isOfFilter: (error: unknown) => boolean = () => false
process.on('uncaughtException', (error) => {
  if (!isOfFilter(error)) fail(`E_INTERNAL  ${error.stack ?? String(error)}`)
})
if (runDir === undefined || stateDir === undefined) fail('--run-dir is missing')
if (![generation, index, Number(argv.workers)].every(Number.isSafeInteger))
  fail('--generation, --index and --workers are whole numbers')

const wantedTransport = wantedTransports.find((one) => one === argv.transport)
if (wantedTransport === undefined) fail(`--transport: found ${argv.transport}, allowed ${wantedTransports.join(', ')}`)

const deaths = new Deaths({
  file: join(stateDir, stateFiles.transportDeaths(index)),
  now: Date.now,
  pid: process.pid,
  startOf: startOfProcess,
})

/** '' = on this host, after this past; else why not. */
async function mayKeepSockets(): Promise<string> {
  const refusal = await trial({
    file: join(stateDir!, stateFiles.transportTrial),
    command: [process.execPath, ...process.execArgv, process.argv[1]!, trialFlag],
    node: process.versions.node,
    machine: process.arch,
    platform: process.platform,
  })
  if (refusal !== '') return refusal
  process.once('exit', () => deaths.end())
  return deaths.begin()
}

const { native } = loadNative()
/** One for each signal: a collector of spans that is gone must not hold up the log. */
const telemetryLink = (): TelemetryLink =>
  new TelemetryLink(join(runDir, runFiles.telemetry(generation)), () => performance.now())
const telemetry: Readonly<Record<Signal, TelemetryLink>> = { traces: telemetryLink(), logs: telemetryLink() }
// eslint-disable-next-line prefer-const -- the worker and the links need each other
let control: ControlClient
let watchdog: WatchdogLink | undefined
const shardOf = (name: string, address: string, port: number) => ({ name, shard: index, address, port })

const worker = await Worker.create({
  workers: Math.max(1, Number(argv.workers)),
  index,
  readTurns:
    native &&
    new ReadTurns({
      file: (shard) => join(runDir, runFiles.udpTurn(shard)),
      tryLock: (descriptor) => native.tryLock(descriptor),
      warn: (message) => log('warn', message),
    }),
  sharesPorts: true,
  listensAtPaths: index === 0,
  filterMarks: join(stateDir, stateFiles.filterMarks),
  wantedTransport,
  trial: mayKeepSockets,
  // Process 1 is a service manager that keeps copies of our sockets in its store.
  isOurs: (owner) =>
    owner.pid === 1 || owner.pid === process.pid || owner.pid === process.ppid || owner.args.includes(runDir),
  ask: (names) => control.need(names),
  tellRefused: (application) => control.refused(application),
  tellTroubles: (troubles) => control.troubles(troubles),
  onBound: (bound: BoundListener) =>
    watchdog?.deposit(shardOf(bound.spec.name, bound.spec.address, bound.socket.port), bound.socket.descriptor),
  onRemoved: (name, address, port) => watchdog?.withdraw(shardOf(name, address, port)),
  onRetried: () => void worker.problems().then((problems) => control.listeners(problems)),
  closeDescriptor: (descriptor) => native?.close(descriptor),
  sendTelemetry: (signal, bytes, done) => telemetry[signal].send(bytes, done),
  setLogLevel: (level) => {
    if (!logger.setLevel(level)) throw new MeshError('E_ADMIN_REQUEST', `log level ${level}: unknown`)
  },
  log,
  // V8's generator, seeded by the system: the data path draws several numbers per request, and none of them guards a
  // secret.
  random: Math.random,
})

isOfFilter = (error) => worker.filters.userFilters.takesBlame(error)
if (worker.transports.kind !== 'epoll') deaths.end()

let startedListening: () => void = () => {}
const listening = new Promise<void>((resolve) => {
  startedListening = resolve
})

/** What the watchdog holds listens, or takes datagrams. */
const isUdp = (descriptor: number): boolean => native?.isDatagram(descriptor) === true

const covered = new CoveredShards(
  ({ descriptor, name, shard }) =>
    isUdp(descriptor)
      ? worker.udp.listenOn(name, descriptor, shard)
      : worker.transports.listenOn(descriptor, acceptBacklog, (transport) => worker.listeners.arrive(name, transport)),
  log,
)

control = new ControlClient({
  path: join(runDir, runFiles.control(generation)),
  generation,
  index,
  random: Math.random,
  log,
  version: () => worker.state.version,
  transport: () => ({ kind: worker.transports.kind, reason: worker.transportReason }),
  load: (snapshot) => worker.load(snapshot),
  apply: (delta) => worker.apply(delta),
  certificates: (certificates, credentials) => {
    worker.tls.identities.replace(certificates)
    worker.tls.identities.replaceCredentials(credentials)
  },
  problems: async () => {
    // Alone, the listeners are bound right after the first snapshot; with a watchdog they wait for its permission, and
    // control must not wait for that.
    if (watchdog?.isSupervised !== true) await listening
    else if (!worker.canListen) return 'waiting'
    return worker.problems()
  },
  answer: (question) => worker.answer(question),
  pendingNames: () => worker.parked.pendingNames(),
  takeUsed: () => worker.state.takeUsedServices(),
  onConnected: () => worker.troubles.forget(),
})

try {
  const snapshot = readSnapshotFile(join(stateDir, stateFiles.snapshot))
  if (snapshot !== undefined) worker.load(snapshot)
} catch (error) {
  log('warn', describeError(error))
}
control.start()

const connect = argv.alone ? noWatchdog : connectWatchdog
watchdog = await connect({
  runDir,
  generation,
  index,
  now: () => performance.now(),
  log,
  connections: worker.connections,
  balanced: worker.tallies,
  exportState: () => worker.porter.exportState(),
  exportRest: () => worker.porter.exportCounters(),
  importState: (part, body) => worker.porter.importState(part, body),
  onCover: (held) => void covered.cover(held),
  onUncover: (shard) => covered.uncover(shard),
  onSettled: () => worker.udp.settled(),
  signals: () => worker.goldenSignals(),
  reopenLogs: () => worker.reopenLogs(),
  stopAccepting,
  onEnd: () => end(),
}).catch((error: unknown) => fail(describeError(error)))

if (worker.state.version === 0) await control.snapshotReceived
// without them it would refuse callers in mutual TLS, and call others in plain
if (worker.state.mesh.hasCertificates === true && !(await Promise.race([control.certificatesReceived, late()])))
  log('warn', `control has sent no certificates for ${certificatesMs} ms; serving without them until it does`)
await worker.filters.userFilters.settled()
if (watchdog.isSupervised) watchdog.ready(await worker.listenForProbes())
// while the watchdog makes up its mind
compactAfterStart()
await watchdog.permission
for (const held of watchdog.takeListeners()) {
  const { address, descriptor, name, port, shard } = held
  if (shard === index) worker.listeners.inherit(name, address, port, descriptor, isUdp(descriptor))
  else await covered.cover(held)
}
await worker.listen()
startedListening()
control.listeners(await worker.problems())
void control.snapshotReceived.then(closeLeftOver)
watchdog.serving([...worker.listeners.list()].length)
log('info', 'serving')
setTimeout(releaseStartupPages, trimAfterMs).unref()
const rest = new RestWatch(
  () => worker.goldenSignals().requests,
  () => worker.isCarrying,
  releaseIdleMemory,
)
setInterval(() => rest.look(), restLookMs).unref()
const growth = new GrowthWatch(process.memoryUsage.rss, trimAllocator)
setInterval(() => growth.look(), growthLookMs).unref()

/**
 * Sockets of listeners that control does not name. The snapshot on disk may be older than a listener: who has connected
 * to it meanwhile would be cut off.
 */
async function closeLeftOver(): Promise<void> {
  await worker.listeners.settled()
  for (const { name, address, port, descriptor } of worker.listeners.dropInherited()) {
    native?.close(descriptor)
    watchdog?.withdraw(shardOf(name, address, port))
  }
}

/** In the place of a watchdog that nobody started: everything is bound here, at once. */
async function noWatchdog(): Promise<WatchdogLink> {
  return {
    isSupervised: false,
    takeListeners: () => [],
    deposit() {},
    withdraw() {},
    ready() {},
    permission: Promise.resolve(),
    serving() {},
    close() {},
  }
}

function late(): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), certificatesMs).unref())
}

function stopAccepting(): void {
  worker.stopAccepting()
  covered.close()
}

/** Behind the last request: what was recorded of it is handed on before the process ends. */
function end(): void {
  control.close()
  watchdog?.close()
  worker.close()
  const links = [telemetry.traces.close(farewellMs), telemetry.logs.close(farewellMs)]
  void Promise.all([worker.logWritten(lastLinesMs), ...links]).finally(() => process.exit(0))
}

/**
 * Without a watchdog a worker drains by itself: no new connections, the last answers say `Connection: close`, then the
 * rest is cut.
 */
function drainAlone(): void {
  stopAccepting()
  for (const connection of worker.connections.list()) connection.drain()
  const deadline = performance.now() + drainMs
  const timer = setInterval(() => {
    for (const connection of worker.connections.list()) if (connection.isIdle) connection.abort()
    if (worker.connections.size === 0 || performance.now() > deadline) {
      clearInterval(timer)
      end()
    }
  }, 50)
}

/** Under a watchdog its own signal comes by the link. */
process.once('SIGTERM', drainAlone)
process.once('SIGINT', drainAlone)
