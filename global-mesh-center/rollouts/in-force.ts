/** Whether the hosts of a share have the new version in force, by what they say of it in their reports. */
import type { KnownHost } from '../hosts/host-table.ts'
import { isConnected } from './rollout-order.ts'

export interface InForceOptions {
  readonly document: string
  /** Of the new version. */
  readonly version: string
  readonly share: readonly string[]
}

export class InForce {
  private readonly options: InForceOptions
  /** Hosts that had it: one that calls nobody any more drops what it does not need. */
  private readonly had = new Set<string>()

  constructor(options: InForceOptions) {
    this.options = options
  }

  /**
   * @param hosts of the share, as far as they are known.
   * @param requests that a host sent to the services of the rule since the roll-out began: who sends none needs none.
   * @returns which host does not have it, and why; undefined = all have.
   */
  missing(hosts: readonly KnownHost[], requests: (name: string) => number): string | undefined {
    const known = new Map(hosts.map((host) => [host.name, host]))
    const found = this.options.share.flatMap((name) => this.lack(name, known.get(name), requests(name)) ?? [])
    const [first] = found
    return found.length < 2 ? first : `${first}; and ${found.length - 1} more hosts`
  }

  private lack(name: string, host: KnownHost | undefined, requests: number): string | undefined {
    if (host === undefined || !host.isHeardHere) return `host ${name} has not reported to this center`
    if (host.state === 'silent') return `host ${name} is silent`
    if (!isConnected(host)) return `host ${name} has lost the center from which it takes its rules`
    const { document, version } = this.options
    const said = host.report.rules.asked?.find(({ rule }) => rule === document)
    if (said === undefined) return `host ${name} does not say which version it has in force`
    if (said.version === version) {
      this.had.add(name)
      return undefined
    }
    if (said.version !== '') return `host ${name} has another version in force (${said.state})`
    if (said.state === 'absent' && (requests === 0 || this.had.has(name))) return undefined
    return `host ${name} does not have it in force (${said.state})`
  }
}
