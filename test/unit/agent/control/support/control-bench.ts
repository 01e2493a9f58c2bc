/** A whole control in this process, with a fake registry and real files in a folder of its own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { Control, type ControlDeps } from '../../../../../agent/control/control.ts'
import { ControlMetrics } from '../../../../../agent/control/observe.ts'
import { RuleStore } from '../../../../../agent/control/core/rules/rule-store.ts'
import { fakeRegistry, recordingLog, type FakeRegistry, type RecordingLog } from './fake-registry.ts'
import { checkNode } from '../../../../../cli/node-kinds.ts'
import { loneControl } from '../../../../support/control/lone-control.ts'
import { FakeWorker } from '../../../../support/control/fake-worker.ts'

export interface Bench {
  readonly folder: string
  readonly registry: FakeRegistry
  readonly log: RecordingLog
  readonly control: Control
  worker(hello?: ConstructorParameters<typeof FakeWorker>[1], generation?: number): FakeWorker
  writeConfig(config: object): void
  writeFile(name: string, content: object | string): void
  /** Ends control and starts another one on the same files, with a fresh registry. */
  restart(change?: Partial<ControlDeps>): Promise<Bench>
  /** Ends control and its workers; the files stay. */
  end(): Promise<void>
  close(): Promise<void>
}

export async function openBench(config: object = {}, change: Partial<ControlDeps> = {}): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'hostmesh-control-'))
  for (const name of ['run', 'state', 'services.d', 'rules.d']) mkdirSync(join(folder, name), { mode: 0o700 })
  return openIn(folder, config, change)
}

export async function openIn(folder: string, config: object | undefined, change: Partial<ControlDeps>): Promise<Bench> {
  const file = join(folder, 'agent.yaml')
  const writeConfig = (wanted: object): void =>
    writeFileSync(
      file,
      stringify({
        host: { name: 'host-1', address: '10.0.0.5', zone: 'a' },
        registries: [{ name: 'main', type: 'nacos', servers: ['127.0.0.1:8848'] }],
        runDir: 'run',
        stateDir: 'state',
        workers: 1,
        ...wanted,
      }),
    )
  if (config !== undefined) writeConfig(config)
  const check = () => checkNode(file, { kernelPorts: { ephemeral: undefined, reserved: [] } })
  const result = check()
  if (result.config === undefined) throw new Error(JSON.stringify(result.problems))
  const registry = fakeRegistry('main')
  const log = recordingLog()
  const control = new Control({
    ...loneControl,
    config: result.config,
    applications: result.applications,
    problems: result.problems,
    generation: 1,
    adapters: [registry],
    rules: new RuleStore(result.config.serviceDefaults),
    random: () => 0.5,
    log,
    metrics: new ControlMetrics(),
    check,
    ...change,
  })
  const workers: FakeWorker[] = []
  const end = async (): Promise<void> => {
    for (const worker of workers) worker.close()
    await control.close({ isHostStopping: false, deadlineMs: 0 })
  }
  await control.start()
  return {
    folder,
    registry,
    log,
    control,
    worker: (hello, generation = 1) => {
      const worker = new FakeWorker(join(folder, 'run', `control-${generation}.sock`), hello)
      workers.push(worker)
      return worker
    },
    writeConfig,
    end,
    writeFile: (name, content) =>
      writeFileSync(join(folder, name), typeof content === 'string' ? content : stringify(content)),
    restart: async (again = {}) => {
      await end()
      return openIn(folder, undefined, again)
    },
    close: async () => {
      await end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
