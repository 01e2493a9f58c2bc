/**
 * Composition root of the watchdog: the parent of every generation, holder of the listening sockets, and relay of last
 * resort. No third-party code.
 *
 * Usage: node watchdog/main.ts OPTIONS, where OPTIONS is JSON or `@file` (`watchdog/options.ts`); `hostmesh watchdog`
 * makes it from `agent.yaml`. Signals: SIGHUP = new generation; SIGUSR1 = open the files of the access log again;
 * SIGUSR2 = read OPTIONS again and upgrade to its release; SIGTERM, SIGINT = drain and stop. Exit codes: 0 stopped; 1
 * failed; 2 the options are wrong; 3 another watchdog holds the run directory.
 */
import { openSync, unlinkSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { makePrivateDirectory } from '../native/private-directory.ts'
import { MeshError, describeError } from '../contracts/errors.ts'
import { runFiles, stateFiles } from '../contracts/run-directory.ts'
import { forbidCoreDumps } from '../native/core-dumps.ts'
import { loadNative } from '../native/descriptors.ts'
import { compactAfterStart, releaseIdleMemory } from '../native/idle-memory.ts'
import { journalStream } from '../native/journal.ts'
import { letSigusr1Through } from '../native/log-signal.ts'
import { withoutNative } from '../native/without-native.ts'
import { Reports } from './handoff/reports.ts'
import { HeldSockets } from './hold/held-sockets.ts'
import { DescriptorReserve } from './hold/reserve.ts'
import { jsonLog } from './log.ts'
import { readOptions } from './options.ts'
import type { WatchdogOptions } from './options.ts'
import { FaceRelay } from './relay/face-relay.ts'
import { Relay } from './relay/relay.ts'
import { TargetsFile } from './relay/targets-file.ts'
import { openFilesLimit } from '../native/process-facts.ts'
import { Supervisor } from './supervise/supervisor.ts'
import { serviceManager } from './systemd/notify.ts'
import { outputTo } from './systemd/output.ts'
import { passedSockets } from './systemd/stored-sockets.ts'

const reservedDescriptors = 32
const housekeepingMs = 3000
/** After a generation serves: what its start needed of us is not needed any more. */
const trimAfterMs = 1000

const loaded = loadNative()
const log = jsonLog(
  outputTo(journalStream(1, process.env, loaded.native), (line) => process.stdout.write(line)),
  Date.now,
)
// A reader that went away must not take the watchdog with it.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

try {
  await run(readOptions(process.argv[2]))
} catch (error) {
  log('error', describeError(error))
  const code = error instanceof MeshError ? error.code : undefined
  process.exit(code === 'E_CONFIG_INVALID' ? 2 : code === 'E_ALREADY_RUNNING' ? 3 : 1)
}

async function run(options: WatchdogOptions): Promise<void> {
  const { problem } = loaded
  const native = loaded.native ?? withoutNative(problem ?? 'unknown reason')
  if (problem !== undefined) {
    log('error', 'handover is off: descriptors cannot be passed here; restarts will close connections', { problem })
  }
  if (!forbidCoreDumps()) log('warn', 'core dumps cannot be forbidden here: one would hold private keys')
  for (const directory of [options.runDir, options.stateDir]) usePrivate(directory, directory === options.runDir)
  const lockFile = join(options.runDir, 'watchdog.lock')
  let lock: number
  try {
    lock = openSync(lockFile, 'a', 0o600)
  } catch (cause) {
    throw new MeshError('E_RUN_DIRECTORY', `${lockFile}: cannot be opened`, { cause })
  }
  if (!native.tryLock(lock) || (problem !== undefined && (await isAnswered(join(options.runDir, runFiles.watchdog))))) {
    throw new MeshError(
      'E_ALREADY_RUNNING',
      `${options.runDir}: another watchdog runs here; use \`hostmesh reload\`, or another run directory`,
    )
  }

  // since boot, not since our start: what is written down with it means the same to the next watchdog
  const now = (): number => Number(process.hrtime.bigint()) / 1e6
  const manager = serviceManager(process.env, loaded.native, log)
  const held = new HeldSockets({ native, onKeep: (one) => manager.store(one), onDrop: (one) => manager.forget(one) })
  for (const passed of passedSockets(process.env, process.pid)) {
    const isHeldUdp = passed.shard !== undefined && native.isDatagram(passed.descriptor)
    if (!native.isListening(passed.descriptor) && !isHeldUdp) {
      // Whatever has this number now belongs to somebody else in this process.
      log('error', `${passed.unitName}: descriptor ${passed.descriptor} is not a listening socket; it is not used`)
      continue
    }
    // A socket unit names the listener in FileDescriptorName; ours from the store name everything.
    const at = passed.shard ?? native.localAddress(passed.descriptor)
    if (at === undefined) log('warn', `${passed.unitName}: not a TCP socket; it is not used`)
    else
      held.keep(
        { name: passed.unitName, shard: 0, ...at },
        native.duplicate(passed.descriptor),
        passed.shard === undefined,
      )
    native.close(passed.descriptor)
  }
  // Children must not believe that sockets were passed to them, nor talk to the service manager.
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) {
    delete process.env[name]
  }
  // Children start four times faster when Node finds its compiled code again; a directory that cannot be written costs
  // only that.
  process.env['NODE_COMPILE_CACHE'] ??= join(options.stateDir, 'compile-cache')
  const port = native.openPort(join(options.runDir, runFiles.watchdogDescriptors))
  const reserve = new DescriptorReserve(reservedDescriptors)
  const file = new TargetsFile(join(options.stateDir, stateFiles.relayTargets))
  const relay = new Relay({
    native,
    held,
    file,
    identityFile: join(options.stateDir, stateFiles.relayIdentity),
    bounds: options.bounds,
    openFilesLimit: openFilesLimit(),
    now,
    wallClock: Date.now,
    log,
    onCenterChange: () => supervisor.publish(),
  })
  const faceRelay = new FaceRelay({
    targets: () => file.targets,
    hasControl: () => supervisor.hasControl,
    maxBufferBytes: options.bounds.maxRelayBufferBytes,
    now,
    log,
  })
  const supervisor: Supervisor = new Supervisor({
    options,
    native,
    transfer: { port, held, reserve },
    handover: problem === undefined ? 'on' : `off: ${problem}`,
    relay,
    faceRelay,
    reports: new Reports(join(options.stateDir, stateFiles.reports), log),
    log,
    now,
    wallClock: Date.now,
    showErrors: outputTo(journalStream(2, process.env, loaded.native), (bytes) => process.stderr.write(bytes)),
    onServing: (text) => {
      manager.ready(text)
      setTimeout(trim, trimAfterMs).unref()
    },
    onStopped: () => {
      port.close()
      held.closeAll()
      try {
        unlinkSync(join(options.runDir, 'watchdog.json'))
      } catch {
        // Never written.
      }
      log('info', 'stopped')
      process.exit(0)
    },
  })

  const housekeeping = setInterval(() => {
    file.refresh()
    reserve.refill()
  }, housekeepingMs)
  housekeeping.unref()
  if (manager.watchdogMs > 0) setInterval(() => manager.alive(), manager.watchdogMs).unref()

  const inBackground = (what: string, work: Promise<unknown>): void => {
    work.catch((error: unknown) => log('error', `${what}: ${describeError(error)}`))
  }
  process.on('SIGHUP', () => inBackground('SIGHUP', supervisor.desk.reload('serving')))
  process.on('SIGUSR1', () => supervisor.reopenLogs())
  if (!letSigusr1Through()) log('warn', 'SIGUSR1 is not heard here; POST /reopen_logs opens the access log anew')
  process.on('SIGUSR2', () => {
    try {
      const { release } = readOptions(process.argv[2])
      supervisor.desk.answer({ type: 'upgrade', release, wait: 'serving' }, () => {})
    } catch (error) {
      log('error', `SIGUSR2: ${describeError(error)}; the running release stays`)
    }
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      manager.stopping()
      inBackground(signal, supervisor.stop(options.deadlines.stopMs))
    })
  }
  log('info', 'watchdog runs', { runDir: options.runDir, release: options.release.name, held: held.size })
  file.refresh()
  relay.open()
  faceRelay.open()
  await supervisor.start()
}

/** What only the start needed is not needed any more, and this process is the one that no restart ends. */
function trim(): void {
  compactAfterStart()
  releaseIdleMemory()
}

/** Without locks a living watchdog is known by its answer. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/**
 * The run directory must work; a state directory that cannot be made is reported by control. Neither is used when
 * others may write to it.
 */
function usePrivate(directory: string, isNeeded: boolean): void {
  let problem: string | undefined
  try {
    problem = makePrivateDirectory(directory)
  } catch (cause) {
    if (isNeeded) throw new MeshError('E_RUN_DIRECTORY', `${directory}: cannot be made`, { cause })
    return
  }
  if (problem !== undefined) throw new MeshError('E_RUN_DIRECTORY', `${directory}: ${problem}`)
}
