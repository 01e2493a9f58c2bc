/** What an application says when it makes its mesh, and how that is read: strictly, all problems at once. */
import { isIPv4, isIPv6 } from 'node:net'
import { isAbsolute } from 'node:path'
import { parseServiceName } from '../contracts/endpoint.ts'
import { MeshError } from '../contracts/errors.ts'

/**
 * `mesh`: agent, center, last known endpoints. `direct`: the registry itself. `auto`: by whether this host has an
 * agent.
 */
export type Mode = 'mesh' | 'direct' | 'auto'

export const modeWords: readonly Mode[] = ['mesh', 'direct', 'auto']

/** As pino's: fields first. */
export interface MeshLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** The registry of mode `direct`, which also has the key of the mode. */
export interface NacosOptions {
  /** HTTP addresses, `host:port`. */
  readonly servers: readonly string[]
  /** Namespace id; default `public`. */
  readonly namespace?: string
  /** Default `DEFAULT_GROUP`. */
  readonly group?: string
  readonly username?: string
  readonly password?: string
  /** Endpoints on loopback addresses: for tests and demonstrations on one machine. Default false. */
  readonly allowLoopbackEndpoints?: boolean
  /** How often services and the key of the mode are asked for, ms, 100 to 60,000; default 5000 and 2000. */
  readonly pollMs?: number
  readonly modePollMs?: number
}

export interface MeshOptions {
  /** Name of this application: letters, digits, `.`, `_`, `-`; at most 64. */
  readonly application: string
  /**
   * Absolute path of a directory of this user; made where it is missing. What is needed when agent and registry are
   * dead is kept there, one file of mode 0600 for each application.
   */
  readonly dataDirectory: string
  /** Default `auto`. */
  readonly mode?: Mode
  /** Modes of single services, by name as it is called. */
  readonly services?: Readonly<Record<string, Mode>>
  /** The agent's admin address, on loopback; default `127.0.0.1:15000`. It says where everything else of it is. */
  readonly agent?: string
  /** Without it there is no mode `direct`. */
  readonly nacos?: NacosOptions
  /** File with the secret of the centers, where they want one; without it such centers are not used. */
  readonly centerSecretFile?: string
  /**
   * How long a registration stands at the place that it leaves when the mode changes, in the second half of it switched
   * off there, ms, 0 to 600,000; default 15,000: twice what callers need to hear.
   */
  readonly overlapMs?: number
  /** Calls of all kinds at once; above it a call is refused before anything is sent. Default 10,000. */
  readonly maxCalls?: number
  /** Default: nothing is logged. */
  readonly log?: MeshLog
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** `127.0.0.1:80`, `[::1]:80`; undefined = not an address of this form. */
export function readAddress(text: string): Address | undefined {
  const found = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})$/.exec(text)
  if (found === null) return undefined
  const [, six, four, digits] = found
  const port = Number(digits)
  if (port < 1 || port > 65_535) return undefined
  if (six !== undefined) return isIPv6(six) ? { host: six, port } : undefined
  return isIPv4(four!) ? { host: four!, port } : undefined
}

/** The same, or a name that is looked up at each connection: `center.example.com:15443`. A center may have one. */
export function readCenterAddress(text: string): Address | undefined {
  const found = /^([A-Za-z0-9][A-Za-z0-9.-]{0,252}):([0-9]{1,5})$/.exec(text)
  const port = Number(found?.[2])
  if (found === null || /^[\d.]+$/.test(found[1]!) || port < 1 || port > 65_535) return readAddress(text)
  return { host: found[1]!, port }
}

const known: ReadonlySet<string> = new Set([
  'application',
  'dataDirectory',
  'mode',
  'services',
  'agent',
  'nacos',
  'centerSecretFile',
  'overlapMs',
  'maxCalls',
  'log',
])

/** Throws E_CONFIG_INVALID with every problem, without a password. */
export function checkOptions(options: MeshOptions): void {
  const problems: string[] = []
  const need = (isGood: boolean, problem: string): void => {
    if (!isGood) problems.push(problem)
  }
  const within = (name: string, value: number | undefined, least: number, most: number): void =>
    need(
      value === undefined || (Number.isInteger(value) && value >= least && value <= most),
      `${name}: found ${String(value)}, allowed a whole number from ${least} to ${most}`,
    )
  for (const key of Object.keys(options)) need(known.has(key), `${key}: not an option`)
  const { application, dataDirectory, mode, services, agent, nacos } = options
  need(
    typeof application === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(application) && !/^\.+$/.test(application),
    'application: allowed are 1 to 64 letters, digits, dots, underscores and dashes',
  )
  need(typeof dataDirectory === 'string' && isAbsolute(dataDirectory), 'dataDirectory: an absolute path is needed')
  need(mode === undefined || modeWords.includes(mode), `mode: found "${String(mode)}", allowed mesh, direct, auto`)
  for (const [name, word] of Object.entries(services ?? {})) {
    need(parseServiceName(name) !== undefined, `services: "${name}" cannot be the name of a service`)
    need(modeWords.includes(word), `services.${name}: found "${String(word)}", allowed mesh, direct, auto`)
  }
  if (agent !== undefined) {
    const address = readAddress(agent)
    need(
      address !== undefined && (address.host.startsWith('127.') || address.host === '::1'),
      `agent: found "${agent}", allowed a loopback address with a port, such as 127.0.0.1:15000`,
    )
  }
  if (nacos !== undefined) {
    need(Array.isArray(nacos.servers) && nacos.servers.length > 0, 'nacos.servers: at least one host:port is needed')
    need((nacos.username === undefined) === (nacos.password === undefined), 'nacos: username and password go together')
    within('nacos.pollMs', nacos.pollMs, 100, 60_000)
    within('nacos.modePollMs', nacos.modePollMs, 100, 60_000)
  }
  need(nacos !== undefined || mode !== 'direct', 'mode: direct needs nacos')
  for (const [name, word] of Object.entries(services ?? {}))
    need(nacos !== undefined || word !== 'direct', `services.${name}: direct needs nacos`)
  within('overlapMs', options.overlapMs, 0, 600_000)
  within('maxCalls', options.maxCalls, 1, 1_000_000)
  if (problems.length > 0) throw new MeshError('E_CONFIG_INVALID', problems.join('; '))
}
