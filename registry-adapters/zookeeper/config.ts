/** What the ZooKeeper adapter is told. */
import type { ConnectionOptions } from 'node:tls'
import type { LayoutName } from './layouts/index.ts'
import type { ServerAddress } from './session.ts'

export interface ZooKeeperAdapterConfig {
  /** Name of the registry in `agent.yaml`. */
  readonly name: string
  /** Members of the ensemble, tried in random order. */
  readonly servers: readonly ServerAddress[]
  readonly layout: LayoutName
  /** Absolute node path above the services; absent = where the layout's framework has it. */
  readonly root?: string
  /** Every service of this registry has this namespace and group. */
  readonly namespace: string
  readonly group: string
  /**
   * ms; servers allow 2 to 20 ticks, 4 to 40 s by default. An application of a dead host is gone so long after its last
   * sign of life.
   */
  readonly sessionTimeoutMs: number
  /** `user:password` for the digest scheme, undefined = none. */
  readonly auth: () => string | undefined
  /** undefined = plain. */
  readonly tls: () => ConnectionOptions | undefined
  /** Instances of one service beyond this number are left out. */
  readonly maxEndpoints: number
}
