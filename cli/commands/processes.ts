/**
 * `hostmesh watchdog`, `center` and `agent`: check the configuration, then become or start the processes that it
 * describes.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { formatProblem } from '../../agent/control/config/problem.ts'
import type { AgentConfig, Role } from '../../agent/control/config/types.ts'
import { systemReason } from '../../agent/control/config/yaml-file.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { Release } from '../../contracts/handoff.ts'
import { loadNative } from '../../native/descriptors.ts'
import { type WatchdogOptions, fixedOptions } from '../../watchdog/options.ts'
import { passedSockets } from '../../watchdog/systemd/stored-sockets.ts'
import { entryPoint } from '../entry-point.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { controlFlags, hostEnvironment, nodeFlags, workerFlags } from '../node-flags.ts'
import { checkNode, nodeKinds } from '../node-kinds.ts'
import { livenessOf } from '../launch/liveness.ts'
import type { Output } from '../output.ts'
import { releaseName } from '../version.ts'

/** Replaces this process by the watchdog; returns only when the configuration is refused. */
export function becomeWatchdog(output: Output, configPath: string, role: Role): ExitCode {
  const config = loadConfig(output, configPath, role)
  if (config === undefined) return exitCodes.config
  const options = watchdogOptions(config)
  const { native } = loadNative()
  for (const { descriptor } of passedSockets(process.env, process.pid)) native?.keepOnExec(descriptor)
  process.execve?.(
    process.execPath,
    [process.execPath, ...nodeFlags, entryPoint('watchdog/main'), JSON.stringify(options)],
    { ...hostEnvironment, ...process.env },
  )
  throw new MeshError('E_INTERNAL', 'the watchdog could not be started in place of this process')
}

/**
 * Runs one generation in the foreground: generation 1, no watchdog. Resolves when it was told to stop or one of its
 * processes ended.
 */
export async function runAgent(output: Output, configPath: string): Promise<ExitCode> {
  const config = loadConfig(output, configPath, undefined)
  if (config === undefined) return exitCodes.config
  const release = releaseOf(config)
  const generation = ['--generation', '1']
  const children = [
    run([...release.control, ...generation, '--alone']),
    ...Array.from({ length: config.workers }, (_, index) =>
      run([...release.worker, ...generation, '--index', String(index), '--alone']),
    ),
  ]
  let isStopping = false
  /** Once: a second signal would end a worker that still drains. */
  const stop = (): void => {
    if (isStopping) return
    isStopping = true
    for (const child of children) child.kill('SIGTERM')
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const codes = await Promise.all(children.map((child) => exitOf(child, stop)))
  return codes.every((code) => code === 0) ? exitCodes.ok : exitCodes.failed
}

/** The watchdog's few options, derived from the one configuration (decision 0013). */
export function watchdogOptions(config: AgentConfig): WatchdogOptions {
  const { watchdog } = config
  return {
    runDir: config.runDir,
    stateDir: config.stateDir,
    release: releaseOf(config),
    deadlines: {
      ...fixedOptions.deadlines,
      startMs: watchdog.startDeadline,
      drainMs: watchdog.drainDeadline,
    },
    liveness: livenessOf(config),
    restarts: fixedOptions.restarts,
    bounds: {
      ...fixedOptions.bounds,
      maxChildBytes: watchdog.maxMemory,
      maxDraining: watchdog.maxGenerations - 1,
    },
  }
}

/** What this release starts for a configuration. */
export function releaseOf(config: AgentConfig): Release {
  const directories = ['--run-dir', config.runDir, '--state-dir', config.stateDir]
  // Control waits for all of them; workers share out a local rate limit.
  const workers = ['--workers', String(config.workers)]
  return {
    name: releaseName(),
    control: [
      process.execPath,
      ...controlFlags,
      entryPoint(nodeKinds[config.role].entry),
      '--config',
      config.file,
      ...directories,
      ...workers,
    ],
    worker: [
      process.execPath,
      ...workerFlags,
      entryPoint('agent/worker/main'),
      ...directories,
      ...workers,
      '--transport',
      config.workerTransport,
    ],
    workers: config.workers,
  }
}

/**
 * The checked configuration, its directories made; undefined when problems were printed. `role` is what the command
 * starts, undefined for either.
 */
export function loadConfig(output: Output, configPath: string, role: Role | undefined): AgentConfig | undefined {
  const { config, problems } = checkNode(configPath)
  for (const problem of problems) output.problem(formatProblem(problem))
  if (config === undefined) {
    output.problem(
      `E_CONFIG_INVALID  ${configPath}: nothing was started; \`hostmesh check -c ${configPath}\` shows this list again`,
    )
    return undefined
  }
  if (role !== undefined && config.role !== role) {
    const { command } = nodeKinds[config.role]
    output.problem(
      `E_CONFIG_INVALID  ${configPath}: role: found ${config.role}, this command starts a ${role}; nothing was started; ` +
        `write "role: ${role}" into the file, or start the ${config.role} that it describes with \`hostmesh ${command} -c ${configPath}\``,
    )
    return undefined
  }
  for (const directory of [config.runDir, config.stateDir]) {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    } catch (cause) {
      throw new MeshError(
        'E_RUN_DIRECTORY',
        `${directory}: cannot be made: ${systemReason(cause)}; nothing was started; ` +
          'make it for this user, or let the unit make it (RuntimeDirectory=, StateDirectory=)',
        { cause },
      )
    }
  }
  return config
}

function run(command: readonly string[]): ChildProcess {
  const [file, ...argv] = command
  return spawn(file!, argv, { stdio: 'inherit' })
}

function exitOf(child: ChildProcess, stopAll: () => void): Promise<number> {
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      stopAll()
      resolve(code ?? 1)
    })
    child.once('error', () => {
      stopAll()
      resolve(1)
    })
  })
}
