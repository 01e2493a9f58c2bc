/** Registries of `type: dns`. */
import { isIP } from 'node:net'
import * as z from 'zod'
import { duration, oneOf, plainName, port, remoteAddress, text } from '../config/scalars.ts'
import type { RegistryKind } from './registry-kind.ts'
import { oneGroup, oneGroupKeys, onePerServer } from './section-parts.ts'

export const dnsSection = z.strictObject({
  name: plainName('a name').describe('Name of this registry in logs, metrics and `services.d`.'),
  type: z.literal('dns').describe('DNS: SRV records, or addresses at one port. Services are only read.'),
  servers: z
    .array(remoteAddress())
    .max(8)
    .prefault([])
    .describe('Name servers, by address: `10.0.0.2:53`; absent = those of `/etc/resolv.conf`.'),
  record: oneOf('srv', 'address')
    .prefault('srv')
    .describe('`srv`: SRV records say address and port; `address`: A and AAAA records, all at `port`.'),
  query: text(9, 253)
    .prefault('{service}')
    .describe('Name that is asked, with `{service}` in it: `{service}.service.consul`, `_{service}._tcp.example.com`.'),
  port: port().optional().describe('Port of all instances, with `record: address`.'),
  only: z
    .array(text(1, 253))
    .max(256)
    .prefault([])
    .describe('Services that are asked for, names or `*.example.com`; absent = all.'),
  ...oneGroupKeys,
  minRefresh: duration('1s', '1h')
    .prefault('5s')
    .describe('A name is looked up again at the end of its TTL, but never sooner than this.'),
  maxRefresh: duration('1s', '24h').prefault('5m').describe('Nor later than this.'),
})

type DnsSection = z.output<typeof dnsSection>

const pulseMs = 10_000

export const dnsKind: RegistryKind<DnsSection> = {
  takesRegistrations: () => false,
  ...oneGroup,
  files: () => [],
  conflicts: ({ servers, record, query, port: number, minRefresh, maxRefresh }) => [
    ...servers
      .filter(({ host }) => isIP(host) === 0)
      .map(({ host }) => `servers: found "${host}", allowed addresses: a name would need a name server itself`),
    ...(query.split('{service}').length === 2
      ? []
      : [`query: found "${query}", allowed a name with {service} in it, once`]),
    ...(record === 'address' && number === undefined ? ['record: address needs a port'] : []),
    ...(record === 'srv' && number !== undefined ? ['port is for record: address; SRV records say the port'] : []),
    ...(minRefresh > maxRefresh ? ['minRefresh is longer than maxRefresh'] : []),
  ],
  located: (section) => section,
  parts: (section) => (section.servers.length === 0 ? [{ label: '/etc/resolv.conf', section }] : onePerServer(section)),
  create: async (section, { endpoints }, deps) => {
    const { createDnsAdapter } = await import('../../../registry-adapters/dns/index.ts')
    const { name, servers, record, query, only, namespace, group, minRefresh, maxRefresh } = section
    return createDnsAdapter(
      {
        name,
        servers,
        record,
        query,
        port: section.port ?? 0,
        only: only.map((one) => one.toLowerCase()),
        namespace,
        group,
        minRefreshMs: minRefresh,
        maxRefreshMs: maxRefresh,
        maxEndpoints: endpoints.maxPerService,
        pulseMs,
      },
      deps,
    )
  },
}
