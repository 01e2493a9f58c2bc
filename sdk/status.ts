/** What an application can see of its mesh, as plain data: for its own metrics, logs and health pages. */
import type { Tier } from '../contracts/words.ts'
import type { Mode } from './options.ts'
import type { ProxyState } from './tiers/proxy.ts'

/** The mode that is in force for a service, `auto` being decided: by the mesh, or by the registry itself. */
export type ActiveMode = Exclude<Mode, 'auto'>

/** `registry`: mode `direct`, which is no tier of the mesh. */
export type ServedBy = Tier | 'registry'

export interface MeshStatus {
  readonly calls: {
    readonly active: number
    /** Ended without a whole reply. */
    readonly failed: number
    /** Not begun, because too many were under way. */
    readonly refused: number
    /** Attempts after one that failed. */
    readonly repeated: number
    /** Replies by who gave them; `registry` = in mode `direct`. */
    readonly served: Readonly<Record<ServedBy, number>>
  }
  readonly agent: { readonly isAnswering: boolean; readonly host: string | undefined }
  readonly proxies: readonly {
    readonly kind: 'agent' | 'center'
    readonly address: string
    readonly state: ProxyState
  }[]
  /** Why no center can be used. */
  readonly centerProblem: string | undefined
  readonly services: readonly {
    readonly name: string
    /** Wanted. */
    readonly mode: Mode
    /** In force. */
    readonly activeMode: ActiveMode
    /** Why the wanted mode is not in force yet. */
    readonly problem: string | undefined
  }[]
  readonly modeChanges: number
  readonly modeKeyProblem: string | undefined
  readonly registered: readonly {
    readonly service: string
    readonly state: 'pending' | 'registered' | 'failing'
    /** Where it is announced; undefined = nowhere yet. */
    readonly activeMode: ActiveMode | undefined
    readonly problem: string | undefined
  }[]
  /** `problem`: why it does not answer, or refuses what it is asked. */
  readonly registry: { readonly isConnected: boolean; readonly problem: string | undefined } | undefined
  /** Why the newest state is not on disk. */
  readonly fileProblem: string | undefined
}

export interface ServiceEndpoints {
  readonly service: string
  readonly activeMode: ActiveMode
  /** Whoever is asked has answered. */
  readonly isKnown: boolean
  /** `address:port`; the endpoints behind the agent, or those of the registry. */
  readonly endpoints: readonly string[]
}
