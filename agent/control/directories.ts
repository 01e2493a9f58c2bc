/** The directories of a node: made, private, and nobody else's. */
import { dirname } from 'node:path'
import { MeshError } from '../../contracts/errors.ts'
import { distrustOf, makePrivateDirectory } from '../../native/private-directory.ts'
import type { AgentConfig } from './config/types.ts'
import { systemReason } from './config/yaml-file.ts'
import { removeLeftovers } from './core/state/leftovers.ts'

/**
 * The run directory must work; without the state directory control serves, says so, and cannot start warm the next
 * time.
 */
export function makeDirectories(config: AgentConfig, warn: (message: string) => void): void {
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
