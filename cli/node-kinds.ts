/** Which kind of node a configuration file describes: its `role:` says so, whatever else may be wrong in it. */
import { agentKind } from '../agent/control/config/agent-kind.ts'
import { checkConfig, type CheckOptions, type CheckResult } from '../agent/control/config/check.ts'
import type { NodeKind } from '../agent/control/config/node-kind.ts'
import type { AgentConfig } from '../agent/control/config/types.ts'
import { readYamlFile } from '../agent/control/config/yaml-file.ts'
import { centerKind } from '../global-mesh-center/config/center-kind.ts'

export const nodeKinds: Readonly<Record<AgentConfig['role'], NodeKind>> = { agent: agentKind, center: centerKind }

export function kindOf(value: unknown): NodeKind {
  const isCenter = typeof value === 'object' && value !== null && (value as { role?: unknown }).role === 'center'
  return isCenter ? nodeKinds.center : nodeKinds.agent
}

/** The check of a file of either kind; see `checkConfig`. */
export function checkNode(path: string, options: CheckOptions = {}): CheckResult {
  return checkConfig(path, kindOf(readYamlFile(path).yaml?.value), options)
}
