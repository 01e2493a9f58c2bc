/**
 * What a kind of node (an agent, a center) decides for its configuration. Control is the same part in each; who starts
 * it hands its kind in.
 */
import type * as z from 'zod'
import type { HostPort } from './scalars.ts'
import type { NodeFile } from './schema.ts'
import type { AgentConfig, Role } from './types.ts'

/** What a kind says by itself of the configuration. */
export type OwnSections = 'center' | 'relay' | 'api' | 'gateway' | 'morePorts'

/** One problem at a place of the file. */
export type Report = (path: readonly PropertyKey[], message: string, severity?: 'error' | 'warning') => void

export interface NodeKind<File extends NodeFile = NodeFile, Config extends AgentConfig = AgentConfig> {
  readonly role: Role
  /** The command that starts it, and what that starts as control, from the top of the product. */
  readonly command: 'watchdog' | 'center'
  readonly entry: string
  readonly schema: z.ZodType<File>
  /** Where the file says nothing. The directories are those of the units in `systemd/`. */
  readonly defaults: {
    readonly runDir: string
    readonly stateDir: string
    /** Beside the configuration. */
    readonly servicesDir: string
    readonly outboundHttp: HostPort | 'off'
  }
  /** The sections that only this kind has; `absolute` makes a path of the file absolute. */
  resolve(parsed: File, absolute: (path: string) => string): Pick<Config, OwnSections> & Omit<Config, keyof AgentConfig>
  /** What no single field of them can tell. */
  conflicts(config: Config, report: Report): void
}
