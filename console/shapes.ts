/** What the node answers, as far as pages read it. Everything in it may have been said by strangers. */

export interface About {
  readonly role: 'agent' | 'center'
  readonly host: string
  readonly version: string
  readonly state: {
    readonly ready: boolean
    readonly pending: readonly string[]
    readonly problems: readonly string[]
  }
  /** What there is to show here. */
  readonly pages: readonly string[]
  /** Kinds of rules and where they are written; empty where rules cannot be. */
  readonly kinds: readonly {
    readonly kind: string
    readonly group: string
    readonly version: string
    readonly plural: string
  }[]
}

/** What every page is given. */
export interface PageProps {
  readonly about: About
  /** What follows the name of the page in the address, decoded. */
  readonly rest: readonly string[]
}

export interface ServiceRow {
  readonly service: string
  /** Empty = no registry was asked for it on this node. */
  readonly registry: string
  /** -1 = nobody here uses it, so its instances are not known. */
  readonly instances: number
  readonly healthy: number
  readonly held: number
}

export interface Services {
  readonly services: readonly ServiceRow[]
  readonly problems: readonly string[]
}

export interface Instance {
  readonly endpoint: string
  readonly state: string
  readonly isUsed: boolean
  readonly version: string
  readonly zone: string
  readonly weight: number
  readonly requests: number
  readonly failures: number
  readonly latencyMs: number
  readonly metadata: Readonly<Record<string, string>>
}

export interface MeshEvent {
  readonly id: number
  readonly at: number
  readonly kind: string
  readonly severity: 'info' | 'warning' | 'error'
  readonly about: string
  readonly what: string
  readonly message: string
}

export interface Events {
  readonly events: readonly MeshEvent[]
  readonly newest: number
}

export interface ServerInfo {
  readonly version: string
  readonly state: string
  readonly role: string
  readonly host: string
  readonly address: string
  readonly generation: number
  readonly uptimeSeconds: number
  readonly services: number
  readonly workers: readonly { readonly index: number; readonly pid: number }[]
  readonly registries: readonly {
    readonly name: string
    readonly type: string
    readonly connected: boolean
    readonly problem?: { readonly message: string } | undefined
  }[]
}
