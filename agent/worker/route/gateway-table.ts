import type { GatewayServerSpec } from '../../../contracts/snapshot.ts'
import { splitAuthority } from './authority.ts'
import { DomainTable } from './domain-table.ts'

interface Server {
  readonly spec: GatewayServerSpec
  /** Virtual hosts of HTTP. */
  readonly hosts: DomainTable<string>
}

/** What callers of one port of a gateway find: by the server name of their TLS, then by Host. */
export class GatewayTable {
  private readonly servers = new DomainTable<Server>()

  constructor(specs: readonly GatewayServerSpec[]) {
    for (const spec of specs) {
      const hosts = new DomainTable<string>()
      if (spec.protocol === 'http') for (const [domain, host] of Object.entries(spec.hosts)) hosts.add(domain, host)
      for (const name of spec.names) this.servers.add(name, { spec, hosts })
    }
  }

  /** `serverName`: '' without TLS, and where a hello has none. */
  server(serverName: string): GatewayServerSpec | undefined {
    return this.servers.find(serverName)?.spec
  }

  /** `authority`: in lower case, with or without a port. */
  host(serverName: string, authority: string): string | undefined {
    return this.servers.find(serverName)?.hosts.find(splitAuthority(authority)[0])
  }
}
