/** The folder of a host whose control is started by itself: configuration, run and state directories. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runFiles } from '../contracts/run-directory.ts'
import { controlFlags, hostEnvironment, workerFlags } from '../cli/node-flags.ts'
import { scratchFolder, startProgram } from './processes.ts'
import type { Program } from './processes.ts'
import type { BenchOptions } from './scenario.ts'

export interface ControlHost {
  readonly config: string
  readonly runDir: string
  /** Where control answers workers. */
  readonly socket: string
  close(): void
}

export function makeControlHost(name: string, outbound: Readonly<Record<string, unknown>>): ControlHost {
  const folder = scratchFolder(name)
  for (const one of ['run', 'state', 'services.d', 'rules.d']) mkdirSync(join(folder.path, one), { mode: 0o700 })
  const config = join(folder.path, 'agent.yaml')
  const runDir = join(folder.path, 'run')
  writeFileSync(
    config,
    JSON.stringify({
      host: { name: 'bench', address: '127.0.0.1' },
      endpoints: { allowLoopbackEndpoints: true },
      outbound,
      admin: { address: 'off', socket: join(folder.path, 'admin.sock') },
      metrics: { address: 'off' },
      readiness: { address: 'off' },
      workers: 1,
      runDir: 'run',
      stateDir: 'state',
    }),
  )
  return { config, runDir, socket: join(runDir, runFiles.control(1)), close: folder.close }
}

/** `entry` is a program of `load/` with a control in it, started as the hostmesh command starts control. */
export function startControl(
  options: BenchOptions,
  entry: string,
  host: ControlHost,
  args: readonly string[],
): Program {
  const cpus = `${options.proxyCpu},${options.loadCpu}`
  const words = [...controlFlags, join(options.releaseFolder, entry), host.config, ...args]
  return startProgram(cpus, process.execPath, words, { env: environment(), input: true })
}

export const startWorker = (options: BenchOptions, host: ControlHost): Program =>
  startProgram(options.proxyCpu, process.execPath, [...workerFlags, ...workerArguments(options.workerMain, host)], {
    env: environment(),
  })

const environment = (): NodeJS.ProcessEnv => ({ ...hostEnvironment, ...process.env })

const workerArguments = (workerMain: string, host: ControlHost): string[] => [
  workerMain,
  '--run-dir',
  host.runDir,
  '--generation',
  '1',
  '--index',
  '0',
  '--alone',
]
