/**
 * What control knows of a kind of registry. One file per kind, one row in `registries.ts`; nothing else tells kinds
 * apart.
 */
import type { AdapterDeps, RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import type { HostPort } from '../config/scalars.ts'

/** What every section under `registries` has. */
export interface RegistrySection {
  readonly name: string
  readonly type: string
}

/** A file that a section names. */
export interface NamedFile {
  /** Inside the section. */
  readonly path: readonly string[]
  readonly file: string
  /** Others must not read it. */
  readonly isSecret: boolean
}

/** The words that a registry gives to services and instances that are written without them. */
export interface RegistryNaming {
  readonly namespace: string
  readonly group: string
  readonly cluster: string
  /** Where its instances are when nothing else says it; absent = it knows no places. */
  readonly zone?: string
  /** All groups that it has, in its one namespace; absent = any. */
  readonly groups?: readonly string[]
}

/** What may come from a registry. */
export interface EndpointSettings {
  readonly allowLoopbackEndpoints: boolean
  readonly maxPerService: number
}

/** What an adapter has to know of the agent around it. */
export interface AdapterSettings {
  readonly endpoints: EndpointSettings
  readonly hostName: string
  readonly hostAddress: string
  /** An endpoint there would lead back to this agent. */
  isOwnPort(address: string, port: number): boolean
}

/**
 * All functions are pure but `create`. `schema`, with `type` as its literal, is the kind's own: its type is that of the
 * section.
 */
export interface RegistryKind<Section extends RegistrySection> {
  /** Its servers are centers, which this host may obey. */
  readonly isCenter?: true
  /** Whether local applications can be announced there; false = it is only read. */
  takesRegistrations(section: Section): boolean
  /** Undefined: services of this kind have no namespaces and groups of their own. */
  naming(section: Section): RegistryNaming | undefined
  /** Group of the documents that hold rules; undefined = none. */
  rulesGroup(section: Section): string | undefined
  files(section: Section): readonly NamedFile[]
  /** What no single field can tell. */
  conflicts(section: Section): readonly string[]
  /** With every path through `absolute`. */
  located(section: Section, absolute: (path: string) => string): Section
  /** Its servers that answer HTTP in the clear, each time with a `Date`; absent = none do. */
  webServers?(section: Section): readonly HostPort[]
  /** The section once per server, for a look at each on its own. */
  parts(section: Section): readonly { readonly label: string; readonly section: Section }[]
  /** The adapter, loaded now and not started. Rejects with E_CONFIG_UNREADABLE for a file that cannot be read. */
  create(section: Section, settings: AdapterSettings, deps: AdapterDeps): Promise<RegistryAdapter>
}
