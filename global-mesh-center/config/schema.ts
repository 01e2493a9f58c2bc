/** The schema of `center.yaml`: what every node has (`agent/control/config/schema.ts`), and what only a center has. */
import * as z from 'zod'
import { caSection, hostPattern } from '../ca/section.ts'
import { hostsSection } from '../hosts/section.ts'
import { rateLimitsSection } from '../rate-limits/section.ts'
import { nodeSections } from '../../agent/control/config/schema.ts'
import {
  cidr,
  flag,
  integer,
  leaf,
  listenAddress,
  oneOf,
  path,
  remoteAddress,
  text,
} from '../../agent/control/config/scalars.ts'
import { nacosSection } from '../../agent/control/kinds/nacos.ts'
import { tlsFiles } from '../../agent/control/kinds/tls-files.ts'

const relaySection = z.strictObject({
  address: listenAddress().prefault('0.0.0.0:15443').describe('Where a center takes relayed connections of hosts.'),
  maxConnections: integer(1, 1_000_000).prefault(10_000).describe('Relayed connections of one worker; more are shed.'),
  maxConnectionsPerHost: integer(1, 1_000_000)
    .prefault(1000)
    .describe(
      'Relayed connections of one host and worker; more are shed. It also holds no more than are free of `maxConnections`, so that each of many hosts gets a share.',
    ),
  allowedNetworks: z
    .array(cidr())
    .min(1)
    .max(256)
    .describe(
      'Networks of the hosts that may use this center. There is no default: whoever is in them reaches every service.',
    ),
  secretFile: path()
    .optional()
    .describe(
      'File with one secret of at least 32 characters, or two while it is being changed: hosts must prove that they know one (`center.secretFile` there). Without it the networks alone decide.',
    ),
  mtls: oneOf('disable', 'permissive', 'strict')
    .prefault('permissive')
    .describe(
      '`permissive`: a host may come in mutual TLS, which proves who it is without a secret, or in plain. `strict`: in mutual TLS alone. The center needs a certificate as `spiffe://TRUST-DOMAIN/center` (`ca`, or `tls.identities`).',
    ),
  hosts: z
    .array(hostPattern())
    .min(1)
    .max(1000)
    .prefault(['*'])
    .describe(
      'Hosts that may come in mutual TLS, by the name in their certificate; a `*` at the end stands for any rest. Whoever comes in plain is not asked.',
    ),
})

/** Of a center that says nothing about it, too: `apiSection.parse({})`. */
export const apiSection = z.strictObject({
  address: listenAddress().prefault('127.0.0.1:15014').describe('Read-only pages of the admin interface.'),
})

const serverTls = () =>
  z
    .strictObject({
      cert: path().describe('Certificate with its intermediates, PEM.'),
      key: path().describe('Its key, PEM, readable by the center only.'),
    })
    .optional()
    .describe('Absent = plain, on loopback only.')

const rulesApiTls = () =>
  z
    .strictObject({
      cert: path().describe('Certificate with its intermediates, PEM.'),
      key: path().describe('Its key, PEM, readable by the center only.'),
      clientCa: path()
        .optional()
        .describe(
          'Who signs the certificates of clients, PEM; `certificate` in `tokensFile` says who they are. Absent = none is asked for.',
        ),
    })
    .optional()
    .describe('Absent = plain, on loopback only.')

const filesStore = z.strictObject({
  type: z.literal('files').describe('A folder of this machine; one center alone.'),
  directory: path().optional().describe('Absent = `store` in the state directory.'),
})

const etcdStore = z.strictObject({
  type: z.literal('etcd').describe('An etcd cluster, 3.4 or newer, by its JSON gateway; several centers share it.'),
  servers: z.array(remoteAddress()).min(1).max(64).describe('Client addresses of the members.'),
  prefix: text(2, 512).prefault('/hostmesh/center').describe('Keys are below it.'),
  usernameFile: path().optional().describe('File that holds the user name.'),
  passwordFile: path().optional().describe('File that holds the password.'),
  tls: tlsFiles.optional(),
})

/** Documents whose names begin so are nobody's at the Nacos face of an agent. */
const documentPrefix = leaf('"hostmesh." and 1 to 100 letters, digits, . _ -', (value) =>
  typeof value === 'string' && /^hostmesh\.[A-Za-z0-9._-]{1,100}$/.test(value) ? value : undefined,
)
  .prefault('hostmesh.center')
  .describe('The names of the documents begin with it.')

const nacosStore = nacosSection
  .pick({
    servers: true,
    namespace: true,
    usernameFile: true,
    passwordFile: true,
    accessKeyFile: true,
    secretKeyFile: true,
    tls: true,
    grpcPortOffset: true,
  })
  .extend({
    type: z
      .literal('nacos')
      .describe('The configuration of a Nacos server or cluster, 2.x or newer; centers share it.'),
    group: text(1, 128).prefault('HOSTMESH_CENTER').describe('Group of the documents.'),
    prefix: documentPrefix,
  })

const xdsSection = z.strictObject({
  address: listenAddress()
    .prefault('127.0.0.1:15010')
    .describe(
      'Where agents, and Envoys and clients of gRPC (`docs/xds.md`), take endpoints and rules; beyond loopback it needs `tls`.',
    ),
  tls: serverTls(),
  tokensFile: path()
    .optional()
    .describe(
      'As `rulesApi.tokensFile`, for tokens that may read all namespaces; it may be the same file. `identity: ns/NAMESPACE/sa/ACCOUNT` beside a token of the role `read` is the application that an Envoy with it is.',
    ),
  clientCertificates: flag()
    .prefault(false)
    .describe('Hosts and applications that show a certificate of the authority of this center (`ca`) need no token.'),
  withoutToken: oneOf('none', 'read')
    .prefault('none')
    .describe('What whoever is on this machine may do without a token; only for an address on loopback.'),
})

const rulesApiSection = z.strictObject({
  address: listenAddress()
    .prefault('127.0.0.1:15016')
    .describe('Where the API of rules listens; beyond loopback it needs `tls`.'),
  tls: rulesApiTls(),
  tokensFile: path()
    .optional()
    .describe(
      'File (mode 600) with a list of `user`, `token` (32 characters and more) or `certificate` (the common name in that of a client), `role` (`read`, `write`, `admin`, or `host` for the agent of the host that `user` names) and, if not all, `namespaces`.',
    ),
  withoutToken: oneOf('none', 'read', 'admin')
    .prefault('none')
    .describe('What whoever is on this machine may do without a token; only for an address on loopback.'),
})

/** The sections that an agent has not. */
export const centerSections = {
  role: oneOf('center').describe('What this file describes.'),
  relay: relaySection.optional().describe('The relay listener and its admission bounds; required.'),
  ca: caSection.optional().describe('The certificate authority of the mesh (`docs/certificates.md`); absent = none.'),
  api: apiSection.optional().describe('The read-only API.'),
  store: z
    .discriminatedUnion('type', [filesStore, etcdStore, nacosStore])
    .prefault({ type: 'files' })
    .describe('Where the center keeps rules that it is told by `rulesApi`.'),
  xds: xdsSection.optional().describe('Discovery for agents (`docs/center.md`); absent = off.'),
  hosts: hostsSection,
  rateLimits: rateLimitsSection
    .optional()
    .describe('Limits that hosts share, counted at the port of `xds` (`docs/rate-limits.md`); absent = none.'),
  rulesApi: rulesApiSection.optional().describe('The API of rules (`docs/rules-api.md`); absent = off.'),
}

export const centerFileSchema = z.strictObject({ ...nodeSections, ...centerSections })

export type CenterFile = z.output<typeof centerFileSchema>
export type EtcdStoreSection = z.output<typeof etcdStore>
export type NacosStoreSection = z.output<typeof nacosStore>
export type XdsSection = z.output<typeof xdsSection>
export type RulesApiSection = z.output<typeof rulesApiSection>
