/**
 * `hostmesh upgrade`: the running watchdog replaces its generation by one of this release, the one whose command was
 * called; with `--canary` one worker of it first.
 */
import type { CanaryOrder } from '../../contracts/canary.ts'
import type { Output } from '../output.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { restart } from './generations.ts'
import { loadConfig, releaseOf } from './processes.ts'

export async function upgrade(
  output: Output,
  configPath: string,
  wait: 'serving' | 'gone',
  order?: CanaryOrder,
): Promise<ExitCode> {
  const config = loadConfig(output, configPath, undefined)
  if (config === undefined) return exitCodes.config
  const release = releaseOf(config)
  const request = order === undefined ? ({ type: 'upgrade', release, wait } as const) : undefined
  return restart(output, config.runDir, request ?? { type: 'canary', release, order: order!, wait })
}
