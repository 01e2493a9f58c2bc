/** What `hostmesh doctor` knows before it judges: the files, the watchdog's word, the pages of control. */
import type { IdentityRow } from '../../contracts/identity-row.ts'
import type { PortRow } from '../../contracts/port-row.ts'
import type { RuleStatus } from '../../contracts/rule-status.ts'
import { readRules } from '../../agent/control/config/check-rules.ts'
import type { ConfigProblem } from '../../agent/control/config/problem.ts'
import { machineFacts } from '../../agent/control/config/machine.ts'
import { resolveConfig } from '../../agent/control/config/resolve.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { lenientValue } from '../../agent/control/config/validate.ts'
import { readYamlFile } from '../../agent/control/config/yaml-file.ts'
import { describeError } from '../../contracts/errors.ts'
import type { WatchdogState } from '../../contracts/handoff.ts'
import { type AdminClient, adminJson } from '../admin-client.ts'
import { checkNode, kindOf } from '../node-kinds.ts'
import { defaultCenterConfig, defaultConfig } from '../options.ts'
import { askWatchdog } from '../watchdog-client.ts'

/** Somebody's answer, or why there is none. */
export type Heard<T> =
  | { readonly kind: 'answer'; readonly value: T }
  /** `isDenied`: this user may not ask. */
  | { readonly kind: 'silence'; readonly why: string; readonly isDenied: boolean }

export interface Facts {
  readonly file: string
  readonly problems: readonly ConfigProblem[]
  /** As far as the file can be understood, whatever is wrong in it; never to be started with. */
  readonly config: AgentConfig | undefined
  readonly watchdog: Heard<WatchdogState>
  readonly admin: AdminClient | undefined
  readonly pages: Heard<Pages>
  /** The command to type, with the file that it needs. */
  command(words: string): string
}

/** Of control, the parts that are judged. */
export interface Pages {
  readonly ready: { readonly ready: boolean; readonly pending: readonly string[]; readonly problems: readonly string[] }
  readonly info: {
    readonly version: string
    readonly generation: number
    readonly snapshotVersion: number
    readonly workers: readonly { readonly index: number; readonly snapshotVersion: number; readonly refused?: string }[]
    readonly registries: readonly {
      readonly name: string
      readonly connected: boolean
      readonly server?: string
      readonly problem?: { readonly code: string; readonly message: string }
    }[]
  }
  readonly rules: readonly RuleStatus[]
  readonly ports: readonly PortRow[]
  readonly registrations: readonly RegistrationRow[]
  readonly identities: readonly IdentityRow[]
}

export interface RegistrationRow {
  readonly application: {
    readonly id: string
    readonly service: { readonly namespace: string; readonly group: string; readonly name: string }
    readonly address: string
    readonly port: number
  }
  readonly inboundPort?: number
  readonly health?: boolean
  readonly healthProblem?: string
  readonly state: string
  readonly waitsFor?: string
  readonly registrationProblem?: string
}

/** `admin` throws when the agent's socket cannot be believed. */
export async function gatherFacts(file: string, admin: () => Promise<AdminClient>): Promise<Facts> {
  const result = checkNode(file)
  const config = result.config ?? lenientConfig(file)
  const rules = config === undefined ? [] : readRules(config).problems
  let client: AdminClient | undefined
  const pagesOf = async (): Promise<Heard<Pages>> => {
    try {
      client = await admin()
      return { kind: 'answer', value: await readPages(client) }
    } catch (error) {
      return silence(error)
    }
  }
  const [watchdog, pages] = await Promise.all([
    config === undefined ? noFile() : watchdogState(config.runDir),
    config === undefined ? noFile() : pagesOf(),
  ])
  const isDefault = file === (config?.role === 'center' ? defaultCenterConfig : defaultConfig)
  const isNamed = !isDefault || config?.role === 'center'
  return {
    file,
    problems: [...result.problems, ...rules],
    config,
    watchdog,
    admin: client,
    pages,
    command: (words) => `hostmesh ${words}${isNamed ? ` -c ${file}` : ''}`,
  }
}

function noFile(): Heard<never> {
  return { kind: 'silence', why: 'the configuration does not say where it is', isDenied: false }
}

function lenientConfig(file: string): AgentConfig | undefined {
  const { yaml } = readYamlFile(file)
  if (yaml === undefined) return undefined
  const kind = kindOf(yaml.value)
  const value = lenientValue(kind.schema, yaml)
  return value === undefined ? undefined : resolveConfig(kind, file, value, machineFacts())
}

const watchdogTimeoutMs = 2000

async function watchdogState(runDir: string): Promise<Heard<WatchdogState>> {
  try {
    const reply = await askWatchdog(runDir, { type: 'status' }, watchdogTimeoutMs)
    if (reply.type !== 'state') return { kind: 'silence', why: `it answers "${reply.type}"`, isDenied: false }
    return { kind: 'answer', value: reply.state }
  } catch (error) {
    return silence(error)
  }
}

async function readPages(admin: AdminClient): Promise<Pages> {
  const page = async <T>(path: string): Promise<T> => (await adminJson(admin, path)) as T
  const ready = JSON.parse((await admin.get('/ready?format=json')).text) as Pages['ready']
  const [info, rules, ports, registrations, identities] = await Promise.all([
    page<Pages['info']>('/server_info?format=hostmesh'),
    page<{ rules: Pages['rules'] }>('/rules?format=json'),
    page<{ ports: Pages['ports'] }>('/ports?format=json'),
    page<{ registrations: Pages['registrations'] }>('/registrations?format=json'),
    page<{ identities: Pages['identities'] }>('/identities?format=json'),
  ])
  return { ready, info, ...rules, ...ports, ...registrations, ...identities }
}

function silence(error: unknown): Heard<never> {
  return { kind: 'silence', why: describeError(error), isDenied: isDenied(error) }
}

/** The reason may stand some causes deep. */
function isDenied(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') return true
  }
  return false
}
