/** Where a running agent can be asked: its configuration says so, whatever else may be wrong in it. */
import { machineFacts } from '../agent/control/config/machine.ts'
import { resolveConfig } from '../agent/control/config/resolve.ts'
import { formatHostPort } from '../agent/control/config/scalars.ts'
import { lenientValue } from '../agent/control/config/validate.ts'
import { readYamlFile } from '../agent/control/config/yaml-file.ts'
import { formatProblem } from '../agent/control/config/problem.ts'
import { MeshError } from '../contracts/errors.ts'
import { kindOf } from './node-kinds.ts'

export interface AgentPlace {
  readonly configFile: string
  readonly runDir: string
  /** Only the agent's user and root may open it. */
  readonly socket: string
  /** Everybody on the host may read there; undefined = off. */
  readonly address: string | undefined
}

/**
 * Throws E_CONFIG_UNREADABLE when the file cannot be read, E_CONFIG_INVALID when it cannot even be understood in part.
 */
export function locateAgent(configFile: string): AgentPlace {
  const { yaml, problems } = readYamlFile(configFile)
  const [problem] = problems
  if (yaml === undefined)
    throw new MeshError(
      'E_CONFIG_UNREADABLE',
      `${problem === undefined ? configFile : formatProblem(problem)}; it says where the agent is: name another file with -c, or the agent itself with --admin or --run-dir`,
    )
  const kind = kindOf(yaml.value)
  const value = lenientValue(kind.schema, yaml)
  if (value === undefined)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `${configFile}: has problems, so it does not say where the agent is; see \`hostmesh check -c ${configFile}\`, or use --admin or --run-dir`,
    )
  const { runDir, admin } = resolveConfig(kind, configFile, value, machineFacts())
  const address = admin.address === 'off' ? undefined : formatHostPort(admin.address)
  return { configFile, runDir, socket: admin.socket, address }
}
