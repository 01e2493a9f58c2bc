/**
 * `hostmesh upgrade`: the running watchdog replaces its generation by one of this release, the one whose command was
 * called.
 */
import type { Output } from '../output.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { restart } from './generations.ts'
import { loadConfig, releaseOf } from './processes.ts'

export async function upgrade(output: Output, configPath: string, wait: 'serving' | 'gone'): Promise<ExitCode> {
  const config = loadConfig(output, configPath, undefined)
  if (config === undefined) return exitCodes.config
  return restart(output, config.runDir, { type: 'upgrade', release: releaseOf(config), wait })
}
