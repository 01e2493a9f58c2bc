/**
 * Control as a process: builds the parts, wires them, and ends them. A composition root says which kind of node it is
 * and what else belongs to it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError, describeError } from '../../contracts/errors.ts'
import { runFiles, stateFiles } from '../../contracts/run-directory.ts'
import { LocalCallers } from '../../guard/local-callers.ts'
import { AdminPorts } from './admin/admin-ports.ts'
import type { AdminContext } from './admin/context.ts'
import { hostReport } from './admin/host-report.ts'
import { ListenerDrain } from './admin/listener-drain.ts'
import { StatsMerger } from './admin/stats.ts'
import { settleDown } from './after-start.ts'
import { readArguments } from './arguments.ts'
import { systemClock } from './clock.ts'
import { steppedClock } from './stepped-clock.ts'
import { RunningFault } from './admin/running-fault.ts'
import { checkConfig, formatProblem, type CheckResult } from './config/check.ts'
import { systemUid } from './host/applications/source-apps.ts'
import type { NodeKind } from './config/node-kind.ts'
import type { NodeFile } from './config/schema.ts'
import type { AgentConfig } from './config/types.ts'
import { machineFacts } from './config/machine.ts'
import { watchFiles } from './config/watch.ts'
import { makeDirectories } from './directories.ts'
import { connectWatchdog, type WatchdogLink } from './handoff/watchdog-link.ts'
import { Control } from './control.ts'
import { jsonLog } from './json-log.ts'
import { faultyRegistry } from './core/registries/faulty-registry.ts'
import { ControlMetrics } from './observe.ts'
import { watchAddress } from './host/address-watch.ts'
import { followAddress } from './host/new-address.ts'
import { probe, probeOwn } from './host/applications/probe.ts'
import { createAdapters, ruleFeeds, ruleStores } from './kinds/registries.ts'
import { startRegistryRules } from './core/registries/start-registry-rules.ts'
import { ruleScope } from './config/rule-scope.ts'
import { fileReadGuard } from './core/rules/read-guard.ts'
import { fetchText } from './core/keys/fetch-text.ts'
import { RuleStore } from './core/rules/rule-store.ts'
import { readInThread } from './core/rules/yaml-in-thread.ts'
import type { DeclaredDeps } from './core/endpoints/declared.ts'
import { entrySet } from './core/rules/service-entry.ts'
import { answers } from './core/snapshot/publisher.ts'
import { tellWatchdogState } from './events/watchdog-events.ts'
import { SuccessorWatch } from './handoff/successor-watch.ts'
import type { LeadingPart, PartDeps } from './leading-part.ts'
import { localSource } from './local-rules.ts'
import { Telemetry } from './telemetry/telemetry.ts'

const exit = { failed: 1, config: 3 } as const
/** How long the take-over of a generation waits for registries that have not answered yet. */
const warmUpMs = 3000
const warmUpPollMs = 20
const countersFormat = 1

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** From package.json. */
export function productVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** A kind of node, and what belongs to it beside control. */
export interface ControlProcess<File extends NodeFile, Config extends AgentConfig> {
  readonly kind: NodeKind<File, Config>
  readonly parts: (deps: PartDeps<Config>) => readonly LeadingPart[]
}

/** Runs until it is told to stop; ends the process with its exit code. */
export async function runControl<File extends NodeFile, Config extends AgentConfig>(
  node: ControlProcess<File, Config>,
): Promise<void> {
  // nobody is left to tell, and it must not end control
  process.stderr.on('error', () => undefined)
  try {
    await start(node)
  } catch (error) {
    fail(error, (message) => process.stderr.write(`${message}\n`))
  }
}

async function start<File extends NodeFile, Config extends AgentConfig>({
  kind,
  parts: makeParts,
}: ControlProcess<File, Config>): Promise<void> {
  const argv = readArguments()
  const clock = steppedClock(systemClock)
  const startedAt = clock.monotonic()
  const check = (): CheckResult<Config> => {
    const result = checkConfig(argv.configFile, kind)
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
  const { defaultAddress } = machineFacts()
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
  const callers = new LocalCallers(() => clock.monotonic())
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
  const registries = adapters.map((adapter) => faultyRegistry(adapter, clock))
  control = new Control({
    config: { ...config, workers: argv.workers ?? config.workers },
    applications: checked.applications,
    problems: checked.problems,
    generation: argv.generation,
    adapters: registries,
    rules: new RuleStore({ ...ruleScope(config), guard, readFar: readInThread, localSource }),
    entrySet,
    resolve: namesOf(config.dns.servers),
    fetchText,
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
  const parts = makeParts({
    ...adapterDeps,
    config,
    control,
    callers,
    report: (more) => hostReport(context, more),
    askAdmin: (request) => admin.answer(request),
  })
  const context: AdminContext = {
    control,
    metrics,
    stats: new StatsMerger(),
    fault: new RunningFault({ registries, state: control.state, stepped: clock, clock, log: logger, metrics }),
    watchdog: () => watchdog,
    version: productVersion(),
    reportedTraffic: () => parts.flatMap((part) => part.traffic?.() ?? []),
    morePages: parts.flatMap((part) => part.pages ?? []),
    socketApis: parts.flatMap((part) => part.socketApi ?? []),
    startedAt,
    faults: () => [...admin.faults(), ...parts.flatMap((part) => part.faults())],
    collectors: () => telemetry.views(),
    logLevel: { get: () => logger.level, set: (level) => void (logger.level = level) },
    drainSwitch: { isFailed: false },
    drain: new ListenerDrain(control.core.publisher, join(config.runDir, runFiles.drained)),
    quit: () => void stop({ isHostStopping: false, deadlineMs: 0 }),
  }
  const admin = new AdminPorts(context, { clock, log: logger, callers })
  control.state.keep(stateFiles.counters, countersFormat, 0, () => context.stats.exportRetired())
  control.onWorkers(() => {
    const alive = new Set(control.core.publisher.states().map((worker) => worker.pid))
    if (context.stats.retain(alive)) control.state.changed(stateFiles.counters)
    void context.drain.workersChanged()
  })

  const rules = startRegistryRules(control.core, ruleStores(config.registries, registries), ruleFeeds(registries))
  const files = watchFiles(config.file, [config.servicesDir, config.rulesDir], clock, () => control.reload())
  const address = watchAddress({
    clock,
    present: defaultAddress,
    look: () => machineFacts().defaultAddress,
    onChange: (now, before) =>
      logger.warn({ address: now, before }, `the address of this host is ${now} now, it was ${before ?? 'unknown'}`),
    follow: (now) =>
      followAddress(now, {
        reload: () => control.reload(),
        isOther: () => control.restartNeeded.includes('host'),
        watchdog: () => watchdog,
        error: (fields, message) => logger.error(fields, message),
      }),
  })
  let isStopping = false

  async function stop(order: { isHostStopping: boolean; deadlineMs: number }): Promise<void> {
    if (isStopping) return
    isStopping = true
    logger.info(order, 'control ends')
    files.close()
    address.close()
    rules.close()
    await Promise.all(parts.map((part) => part.close()))
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
  const successors = new SuccessorWatch(argv.generation, () => void control.state.writeNow())
  watchdog = await connectWatchdog({
    runDir: config.runDir,
    generation: argv.generation,
    isAlone: argv.isAlone,
    log: (level, message, fields) => logger[level](fields ?? {}, message),
    onLead: (isSupervised) => {
      context.stats.adopt(control.state.read(stateFiles.counters, countersFormat))
      control.setLeading(true)
      address.retry()
      leading = admin.open(argv.isAlone || !isSupervised).then(async () => {
        await Promise.all(parts.map((part) => part.open()))
      })
      leading.catch((error: unknown) => fail(error, (message) => logger.fatal({}, message)))
    },
    onRetire: () => {
      logger.info({}, 'a successor leads: registrations, admin port and state directory are left to it')
      control.setLeading(false)
      address.close()
      for (const part of parts) void part.close()
      void admin.retire()
    },
    onState: (state) => {
      tellWatchdogState(control.timeline, state)
      successors.look(state)
    },
    onStop: (order) => void stop(order),
  })
  await leading
  await warmUp(control, watchdog)
  watchdog.ready()
  settleDown(clock)
  logger.info(
    { ms: Math.round(clock.monotonic() - startedAt), snapshot: control.core.store.version },
    'control is ready',
  )
}

/** The resolver is loaded with the first name that a rule declares: few hosts have one. */
function namesOf(servers: AgentConfig['dns']['servers']): DeclaredDeps['resolve'] {
  let names: Promise<DeclaredDeps['resolve']> | undefined
  return async (name) => {
    names ??= import('../../registry-adapters/dns/index.ts').then(({ createNames }) =>
      createNames({ servers, clock: systemClock, random: Math.random }),
    )
    return (await names)(name)
  }
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
