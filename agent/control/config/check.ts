/**
 * The check of a configuration: what `hostmesh check` prints and what control loads are the same call.
 */
import { readdirSync } from 'node:fs'
import { join, resolve as resolvePath } from 'node:path'
import { applicationConflicts, configConflicts, type KernelPorts } from './conflicts.ts'
import { machineFacts } from './machine.ts'
import type { NodeKind } from './node-kind.ts'
import type { ConfigProblem } from './problem.ts'
import { kernelPorts } from './kernel-ports.ts'
import { resolveApplication, resolveConfig, type MachineFacts } from './resolve.ts'
import { applicationFileSchema, type NodeFile } from './schema.ts'
import type { AgentConfig, ApplicationConfig } from './types.ts'
import { lenientValue, validate } from './validate.ts'
import { readYamlFile, systemReason, type YamlFile } from './yaml-file.ts'

export { formatProblem, type ConfigProblem } from './problem.ts'

export interface CheckOptions {
  /** Default: this machine. */
  readonly machine?: MachineFacts
  /** The kernel's ephemeral ports, against which the port ranges are held. Default: this machine's. */
  readonly kernelPorts?: KernelPorts
}

export interface CheckResult<Config extends AgentConfig = AgentConfig> {
  /** True when no problem is an error; warnings are allowed. */
  readonly isValid: boolean
  /** Defined when the file itself has no error, also if files in `services.d` have some. */
  readonly config: Config | undefined
  /** The good files of `services.d`, by file name. A bad or conflicting file is left out and reported. */
  readonly applications: readonly ApplicationConfig[]
  /** All of them, by file and line. */
  readonly problems: readonly ConfigProblem[]
}

/**
 * Checks the file of a node of this kind at `path` and the `services.d` that it names, and reports every problem at
 * once with file, line, path, found, allowed and nearest name.
 *
 * Reads files and the machine's facts only: opens no socket, writes nothing, contacts no registry. Never throws for
 * what the files hold. Rules are checked by `readRules` in `agent/control/config/check-rules.ts`, because they need
 * the whole rule compiler.
 */
export function checkConfig<File extends NodeFile, Config extends AgentConfig>(
  path: string,
  kind: NodeKind<File, Config>,
  options: CheckOptions = {},
): CheckResult<Config> {
  const problems: ConfigProblem[] = []
  const read = readYamlFile(path)
  problems.push(...read.problems)
  if (read.yaml === undefined) return { isValid: false, config: undefined, applications: [], problems }

  const parsed = validate(kind.schema, read.yaml)
  problems.push(...parsed.problems)
  const value = parsed.value ?? lenientValue(kind.schema, read.yaml)
  if (value === undefined) return { isValid: false, config: undefined, applications: [], problems }
  const config = resolveConfig(kind, path, value, options.machine ?? machineFacts())
  problems.push(...configConflicts(kind, config, read.yaml, options.kernelPorts ?? kernelPorts()))
  const isUsable = !problems.some((problem) => problem.severity === 'error')

  const found = readApplications(config.servicesDir, config.serviceDefaults)
  problems.push(...found.problems)
  const checked = applicationConflicts(config, found.applications, found.positions)
  problems.push(...checked.problems)
  return {
    isValid: !problems.some((problem) => problem.severity === 'error'),
    config: isUsable ? config : undefined,
    applications: isUsable ? checked.applications : [],
    problems,
  }
}

/** The `*.yaml` and `*.yml` files of a directory, by name; a directory that is not there is an empty one. */
export function yamlFilesIn(directory: string): { files: string[]; problems: ConfigProblem[] } {
  try {
    const names = readdirSync(directory).filter((name) => /\.ya?ml$/.test(name) && !name.startsWith('.'))
    return { files: names.toSorted().map((name) => join(resolvePath(directory), name)), problems: [] }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { files: [], problems: [] }
    const message = `cannot be read: ${systemReason(error)}; its files are not used`
    return {
      files: [],
      problems: [{ severity: 'error', file: directory, line: 0, column: 0, path: '', message, nearest: undefined }],
    }
  }
}

function readApplications(
  directory: string,
  defaults: AgentConfig['serviceDefaults'],
): {
  applications: ApplicationConfig[]
  positions: Map<string, YamlFile>
  problems: ConfigProblem[]
} {
  const { files, problems } = yamlFilesIn(directory)
  const positions = new Map<string, YamlFile>()
  const applications: ApplicationConfig[] = []
  for (const file of files) {
    const read = readYamlFile(file, false)
    problems.push(...read.problems)
    if (read.yaml === undefined) continue
    const parsed = validate(applicationFileSchema, read.yaml)
    problems.push(...parsed.problems)
    if (parsed.value === undefined) continue
    applications.push(resolveApplication(file, parsed.value, defaults))
    positions.set(file, read.yaml)
  }
  return { applications, positions, problems }
}
