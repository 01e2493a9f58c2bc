/**
 * Composition root of control: reads argv, builds the parts, wires them, and ends them.
 *
 * `main.ts --config FILE --run-dir DIR --state-dir DIR --generation N [--workers N] [--alone]`
 * Exit codes: 0 told to stop, 1 could not start or a bug, 3 the configuration has problems (all of them are on standard
 * error).
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { MeshError, describeError } from '../../contracts/errors.ts'
import { runFiles } from '../../contracts/run-directory.ts'
import { distrustOf, makePrivateDirectory } from '../../native/private-directory.ts'
import { releaseStartupPages } from '../../native/startup-pages.ts'
import { createNames } from '../../registry-adapters/dns/index.ts'
import { LocalCallers } from '../../guard/local-callers.ts'
import { AdminPorts } from './admin/admin-ports.ts'
import type { AdminContext } from './admin/context.ts'
import { ListenerDrain } from './admin/listener-drain.ts'
import { StatsMerger } from './admin/stats.ts'
import { systemClock } from './clock.ts'
import { checkConfig, formatProblem, type CheckResult } from './config/check.ts'
import { systemUid } from './host/applications/source-apps.ts'
import type { AgentConfig } from './config/types.ts'
import { machineFacts } from './config/machine.ts'
import { watchFiles } from './config/watch.ts'
import { systemReason } from './config/yaml-file.ts'
import { connectWatchdog, type WatchdogLink } from './handoff/watchdog-link.ts'
import { Control } from './control.ts'
import { jsonLog } from './json-log.ts'
import { cuttable } from './core/registries/cuttable.ts'
import { removeLeftovers } from './core/state/leftovers.ts'
import { ControlMetrics } from './observe.ts'
import { watchAddress } from './host/address-watch.ts'
import { probe, probeOwn } from './host/applications/probe.ts'
import { createAdapters, ruleFeeds, ruleStores } from './kinds/registries.ts'
import { startRegistryRules } from './core/registries/start-registry-rules.ts'
import { ruleScope } from './config/rule-scope.ts'
import { fileReadGuard } from './core/rules/read-guard.ts'
import { RuleStore } from './core/rules/rule-store.ts'
import { readInThread } from './core/rules/yaml-in-thread.ts'
import { entrySet } from './core/rules/service-entry.ts'
import { answers } from './core/snapshot/publisher.ts'
import { LocalNacos } from './host/nacos-face/local-nacos.ts'
import { Telemetry } from './telemetry/telemetry.ts'

const exit = { failed: 1, config: 3 } as const
/** How long the new generation of a host whose address changed may take to serve. */
const addressReloadMs = 60_000
/** How long the take-over of a generation waits for registries that have not answered yet. */
const warmUpMs = 3000
const warmUpPollMs = 20
/**
 * The workers have their snapshot and the registries have answered: what only the start needed is not needed any more.
 */
const settleAfterMs = 2000
/** By now the first snapshots are on disk, too, which is the last big thing that a start does. */
const collectAfterMs = 30_000
/** Counters of workers that died, so that the next control's sums do not fall. */
const countersFile = 'counters.json'
const countersFormat = 1

interface Arguments {
  readonly configFile: string
  readonly runDir: string | undefined
  readonly stateDir: string | undefined
  readonly generation: number
  /** How many were started with us; undefined = as many as the configuration says. It may say another number by now. */
  readonly workers: number | undefined
  readonly isAlone: boolean
}

function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      'run-dir': { type: 'string' },
      'state-dir': { type: 'string' },
      generation: { type: 'string', default: '1' },
      workers: { type: 'string' },
      alone: { type: 'boolean', default: false },
    },
  })
  const generation = Number(values.generation)
  if (values.config === undefined || !Number.isSafeInteger(generation) || generation < 1)
    throw new MeshError(
      'E_CONFIG_INVALID',
      'usage: main.ts --config FILE --run-dir DIR --state-dir DIR --generation N [--workers N] [--alone]',
    )
  return {
    configFile: values.config,
    runDir: values['run-dir'],
    stateDir: values['state-dir'],
    generation,
    workers: values.workers === undefined ? undefined : Number(values.workers),
    isAlone: values.alone,
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function productVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/**
 * The run directory must work; without the state directory control serves, says so, and cannot start warm the next
 * time.
 */
function makeDirectories(config: AgentConfig, warn: (message: string) => void): void {
  let problem: string | undefined
  try {
    problem = makePrivateDirectory(config.runDir)
  } catch (cause) {
    throw new MeshError(
      'E_RUN_DIRECTORY',
      `${config.runDir}: cannot be made: ${systemReason(cause)}; control does not start; check runDir and its owner`,
      { cause },
    )
  }
  if (problem !== undefined)
    throw new MeshError('E_RUN_DIRECTORY', `${config.runDir}: ${problem}; control does not start`)
  const socketsPlace = dirname(config.admin.socket)
  try {
    problem = distrustOf(socketsPlace)
  } catch (cause) {
    throw new MeshError(
      'E_RUN_DIRECTORY',
      `admin.socket: ${socketsPlace}: ${systemReason(cause)}; control does not start`,
      { cause },
    )
  }
  if (problem !== undefined)
    throw new MeshError(
      'E_RUN_DIRECTORY',
      `admin.socket: ${socketsPlace}: ${problem}; control does not start, for anybody could answer in its place`,
    )
  try {
    problem = makePrivateDirectory(config.stateDir)
  } catch (cause) {
    warn(
      `E_SNAPSHOT_WRITE  ${config.stateDir}: cannot be made: ${systemReason(cause)}; nothing will be kept for the next start`,
    )
  }
  if (problem !== undefined)
    throw new MeshError(
      'E_RUN_DIRECTORY',
      `${config.stateDir}: ${problem}; control does not start, for it would believe what lies there`,
    )
  for (const directory of [config.runDir, config.stateDir]) removeLeftovers(directory)
}

async function main(): Promise<void> {
  const argv = readArguments()
  const clock = systemClock
  const startedAt = clock.monotonic()
  const check = (): CheckResult => {
    const result = checkConfig(argv.configFile)
    if (result.config === undefined) return result
    const { runDir, stateDir } = argv
    return {
      ...result,
      config: {
        ...result.config,
        ...(runDir === undefined ? {} : { runDir }),
        ...(stateDir === undefined ? {} : { stateDir }),
      },
    }
  }
  const checked = check()
  for (const problem of checked.problems) process.stderr.write(`${formatProblem(problem)}\n`)
  const { config } = checked
  if (config === undefined) {
    process.stderr.write(
      `E_CONFIG_INVALID  ${argv.configFile}: control does not start; correct the file and check it with \`hostmesh check\`\n`,
    )
    process.exitCode = exit.config
    return
  }
  const { host, role } = config
  const logger = jsonLog(config.logging.level, { generation: argv.generation, role, host: host.name })
  process.on('uncaughtException', (error) => {
    logger.fatal(
      { err: error, code: 'E_INTERNAL' },
      `E_INTERNAL  ${describeError(error)}; control ends, workers carry on`,
    )
    process.exit(exit.failed)
  })
  makeDirectories(config, (message) => logger.error({}, message))
  if (argv.isAlone && (await answers(join(config.runDir, runFiles.watchdog))))
    throw new MeshError(
      'E_ALREADY_RUNNING',
      `${config.runDir}: a watchdog answers there; this agent does not start and the running one is not touched; use another runDir`,
    )

  const guard = fileReadGuard(config.stateDir, { pid: process.pid, now: () => clock.wall(), isAlive, log: logger })
  const metrics = new ControlMetrics()
  const callers = new LocalCallers()
  const telemetry = new Telemetry({
    path: join(config.runDir, runFiles.telemetry(argv.generation)),
    version: productVersion(),
    clock,
    random: Math.random,
    log: logger,
    metrics,
  })
  let control: Control
  const adapterDeps = { clock, random: Math.random, log: logger, metrics }
  const adapters = await createAdapters(config, adapterDeps, (address, port) =>
    control.host.listeners.isOwn(address, port),
  )
  const registries = adapters.map((adapter) => cuttable(adapter, () => clock.wall()))
  control = new Control({
    config: { ...config, workers: argv.workers ?? config.workers },
    applications: checked.applications,
    problems: checked.problems,
    generation: argv.generation,
    adapters: registries,
    rules: new RuleStore({ ...ruleScope(config), guard, readFar: readInThread }),
    entrySet,
    resolve: createNames({ servers: config.dns.servers, clock, random: Math.random }),
    probe: probeOwn(probe, (address, port) => callers.uidOfListener(address, port)),
    uidOf: systemUid,
    clock,
    random: Math.random,
    log: logger,
    metrics,
    check,
    onConfig: (inForce) => telemetry.configure(inForce),
  })

  let watchdog: WatchdogLink | undefined
  const face = new LocalNacos(control, adapterDeps, callers)
  const context: AdminContext = {
    control,
    metrics,
    stats: new StatsMerger(),
    registries,
    watchdog: () => watchdog,
    version: productVersion(),
    startedAt,
    faults: () => [...admin.faults(), ...face.faults()],
    logLevel: { get: () => logger.level, set: (level) => void (logger.level = level) },
    drainSwitch: { isFailed: false },
    drain: new ListenerDrain(control.core.publisher, join(config.runDir, runFiles.drained)),
    quit: () => void stop({ isHostStopping: false, deadlineMs: 0 }),
  }
  const admin = new AdminPorts(context, { clock, log: logger, callers })
  control.state.keep(countersFile, countersFormat, 0, () => context.stats.exportRetired())
  control.onWorkers(() => {
    const alive = new Set(control.core.publisher.states().map((worker) => worker.pid))
    if (context.stats.retain(alive)) control.state.changed(countersFile)
    void context.drain.workersChanged()
  })

  const rules = startRegistryRules(control.core, ruleStores(config.registries, registries), ruleFeeds(registries))
  const files = watchFiles(config.file, [config.servicesDir, config.rulesDir], clock, () => control.reload())
  const address = watchAddress({
    clock,
    present: machineFacts().defaultAddress,
    look: () => machineFacts().defaultAddress,
    onChange: (now, before) => {
      logger.warn({ address: now, before }, `the address of this host is ${now} now, it was ${before ?? 'unknown'}`)
      control.reload()
      // named in the configuration, it stays as it is; else listeners and announcements have to move
      if (!control.restartNeeded.includes('host') || watchdog?.isLeading !== true) return
      if (!watchdog.isSupervised)
        return logger.error({ address: now }, 'without a watchdog nobody can restart this agent; restart it')
      watchdog
        .ask({ type: 'reload', wait: 'serving' }, addressReloadMs)
        .catch((error: unknown) => logger.error({ address: now }, `no new generation: ${describeError(error)}`))
    },
  })
  let isStopping = false

  async function stop(order: { isHostStopping: boolean; deadlineMs: number }): Promise<void> {
    if (isStopping) return
    isStopping = true
    logger.info(order, 'control ends')
    files.close()
    address.close()
    rules.close()
    await face.close()
    await admin.close()
    await control.close(order)
    await telemetry.close()
    watchdog?.close()
    process.exit(0)
  }
  process.on('SIGTERM', () => void stop({ isHostStopping: false, deadlineMs: 0 }))
  process.on('SIGINT', () => void stop({ isHostStopping: false, deadlineMs: 0 }))
  process.on('SIGHUP', () => files.poke())

  await control.start()
  await telemetry.listen()
  let leading: Promise<void> = Promise.resolve()
  watchdog = await connectWatchdog({
    runDir: config.runDir,
    generation: argv.generation,
    log: (level, message, fields) => logger[level](fields ?? {}, message),
    onLead: () => {
      context.stats.adopt(control.state.read(countersFile, countersFormat))
      control.setLeading(true)
      leading = admin.open(argv.isAlone || watchdog?.isSupervised !== true).then(() => face.open())
      leading.catch((error: unknown) => fail(error, (message) => logger.fatal({}, message)))
    },
    onRetire: () => {
      logger.info({}, 'a successor leads: registrations, admin port and state directory are left to it')
      control.setLeading(false)
      void face.close()
      void admin.retire()
    },
    onStop: (order) => void stop(order),
  })
  await leading
  await warmUp(control, watchdog)
  watchdog.ready()
  setTimeout(settle, settleAfterMs).unref()
  setTimeout(collect, collectAfterMs).unref()
  logger.info(
    { ms: Math.round(clock.monotonic() - startedAt), snapshot: control.core.store.version },
    'control is ready',
  )
}

/**
 * `hostmesh` starts control without the optimizing compilers: they would only work on code that runs once, and their
 * own code would stay resident (13 MiB).
 */
function settle(): void {
  for (const flag of ['--opt', '--maglev']) setFlagsFromString(flag)
  releaseStartupPages()
}

/**
 * What the start left behind stays resident otherwise: the heap grew for it, and an idle process does not allocate
 * enough to collect (35 MB with 20,000 endpoints).
 */
function collect(): void {
  globalThis.gc?.()
}

/**
 * A generation takes over only when its registries have spoken (or are lost), so that it does not serve less than its
 * predecessor; but not for ever.
 */
async function warmUp(control: Control, watchdog: WatchdogLink): Promise<void> {
  const deadline = performance.now() + warmUpMs
  let waits = control.host.readiness.pendingServices()
  while (waits.length > 0 && performance.now() < deadline) {
    watchdog.pending(waits)
    await new Promise((resolve) => setTimeout(resolve, warmUpPollMs))
    waits = control.host.readiness.pendingServices()
  }
  watchdog.pending([])
}

function fail(error: unknown, write: (message: string) => void): void {
  write(describeError(error))
  const isConfig =
    error instanceof MeshError && (error.code === 'E_CONFIG_INVALID' || error.code === 'E_CONFIG_UNREADABLE')
  process.exit(isConfig ? exit.config : exit.failed)
}

// nobody is left to tell, and it must not end control
process.stderr.on('error', () => undefined)
try {
  await main()
} catch (error) {
  fail(error, (message) => process.stderr.write(`${message}\n`))
}
