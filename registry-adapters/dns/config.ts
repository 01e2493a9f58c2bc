/** What the DNS adapter is told. */
import type { Family } from './addresses.ts'
import type { NameServer } from './dns-client.ts'

export interface DnsAdapterConfig {
  /** Name of the registry in `agent.yaml`. */
  readonly name: string
  /** Empty = those of `/etc/resolv.conf`. */
  readonly servers: readonly NameServer[]
  /** `srv`: SRV records say address and port; `address`: A and AAAA records, all at `port`. */
  readonly record: 'srv' | 'address'
  /** Name that is asked, with `{service}` in it. */
  readonly query: string
  /** Of instances that have addresses only. */
  readonly port: number
  /** Services that are asked for: names, or `*.suffix`. Empty = every one whose name DNS can carry. */
  readonly only: readonly string[]
  readonly namespace: string
  readonly group: string
  /** Bounds of the time that the name servers give, ms. */
  readonly minRefreshMs: number
  readonly maxRefreshMs: number
  readonly maxEndpoints: number
  /** ms between looks at whether a name server can be asked at all. */
  readonly pulseMs: number
  /** ms for one server to answer once; absent = 2 s. */
  readonly timeoutMs?: number
  /** Families of addresses; absent = those that this machine speaks. */
  readonly families?: () => readonly Family[]
}
