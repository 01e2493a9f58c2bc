/** The folder of a host whose control is started by itself: configuration, run and state directories. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runFiles } from '../contracts/run-directory.ts'
import { scratchFolder } from './processes.ts'

export interface ControlHost {
  readonly config: string
  readonly runDir: string
  /** Where control answers workers. */
  readonly socket: string
  close(): void
}

/** The flags with which the hostmesh command starts control. */
export const controlFlags = ['--max-semi-space-size=2']

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

export const workerArguments = (workerMain: string, host: ControlHost): string[] => [
  workerMain,
  '--run-dir',
  host.runDir,
  '--generation',
  '1',
  '--index',
  '0',
]
