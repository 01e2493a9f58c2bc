/** What a port of a center needs of the files that its section names. */
import { readText } from '../agent/control/kinds/secret-file.ts'
import type { Clock } from '../contracts/clock.ts'
import type { RulesApiConfig, XdsConfig } from './config/types.ts'
import { Tokens } from './rules-api/tokens.ts'

export interface ServerTls {
  readonly cert: string
  readonly key: string
  /** Who signs the certificates of clients; absent = none is asked for. */
  readonly clientCa?: string | undefined
}

export interface PortAccess {
  /** PEM; undefined = plain. */
  readonly tls: ServerTls | undefined
  /** undefined = no token is known. */
  readonly tokens: Tokens | undefined
}

/** Throws E_CONFIG_UNREADABLE. */
export function portAccess({ tls, tokensFile }: RulesApiConfig | XdsConfig, clock: Clock): PortAccess {
  return {
    tls: tls === undefined ? undefined : readTls(tls),
    tokens: tokensFile === undefined ? undefined : new Tokens(tokensFile, () => clock.monotonic()),
  }
}

function readTls(tls: {
  readonly cert: string
  readonly key: string
  readonly clientCa?: string | undefined
}): ServerTls {
  const { cert, key, clientCa } = tls
  return { cert: readText(cert), key: readText(key), clientCa: clientCa === undefined ? undefined : readText(clientCa) }
}

/** Why nobody with a token is let in at the port of this section; undefined = its file is good, or there is none. */
export function accessProblem(section: string, { tokens }: PortAccess): string | undefined {
  const problem = tokens?.problem()
  return problem === undefined ? undefined : `${section}.tokensFile: nobody is let in: ${problem}`
}
