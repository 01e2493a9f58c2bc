/**
 * The one schema of `agent.yaml`: types, defaults, checks and `docs/config.md` all come from here.
 * Every description is a line of the manual. Numbers name their source where they have one.
 */
import * as z from 'zod'
import { traceFormats } from '../../../contracts/telemetry.ts'
import { centerSection } from './center-section.ts'
import { extensionProviders } from './extension-providers.ts'
import { applicationIdentity, identitySection } from './identity-section.ts'
import { filtersSection } from './filters-section.ts'
import { gatewaySection } from './gateway-section.ts'
import { limitsSection } from './limits-section.ts'
import { nacosFaceSection } from '../kinds/nacos-face.ts'
import { sofaFaceSection } from '../kinds/sofa-face.ts'
import { registrySection } from '../kinds/registries.ts'
import {
  appProtocol,
  autoOr,
  cidr,
  collectorUrl,
  duration,
  flag,
  hostDomain,
  httpPath,
  integer,
  logFormat,
  localAddress,
  oneOf,
  optionalListenAddress,
  path,
  placeMap,
  ruleNamespace,
  plainName,
  port,
  portRange,
  remoteAddress,
  serviceName,
  share,
  size,
  text,
  textMap,
  userName,
} from './scalars.ts'
import { rpcProtocolSchema } from './rpc-schema.ts'
import { outboundRpc, outboundSocket, outboundTunnels } from './shared-ports-schema.ts'

/** Where these are served on the host address when the file names no place. */
export const ownPorts = { metrics: 15_020, readiness: 15_021 } as const

const halfClosed = () => oneOf('gone', 'answered')

const outboundService = z.strictObject({
  service: serviceName().describe('The service to call.'),
  protocol: appProtocol()
    .prefault('http')
    .describe(
      'What is spoken to the endpoints; callers may speak HTTP/1.1 or HTTP/2 (by prior knowledge) to any but `tcp`, which passes connection by connection, and `udp`, which passes datagrams. `websocket` is `http`. A private RPC (`bolt`) is spoken on both sides.',
    ),
  port: port().optional().describe('Pins the localhost port; absent = allocated from `outbound.portRange`, stable.'),
  halfClosed: halfClosed().optional().describe('As `outbound.halfClosed`, for this port alone.'),
})

/** What the admin interface is told of a service. */
export const toldServiceSchema = outboundService.extend({
  ttl: duration('1s', '365d').optional().describe('It goes by itself after this time; absent = it stays.'),
})

/** Where spans or log records go. */
const collector = <const Protocol extends string>(...protocols: readonly [Protocol, ...Protocol[]]) =>
  z.strictObject({
    protocol: oneOf(...protocols)
      .prefault(protocols[0])
      .describe('What the collector speaks; `otlp-http` carries protobuf.'),
    url: collectorUrl().describe(
      'Where it listens: `http://127.0.0.1:4318` for `otlp-http`, `:4317` for `otlp-grpc`, `:9411` for `zipkin`; `https` for TLS. OTLP over HTTP adds `/v1/traces` or `/v1/logs`, Zipkin without a path `/api/v2/spans`.',
    ),
    headersFile: path()
      .optional()
      .describe(
        'File with `name: value` lines that go with each request, such as an API key; readable by the agent only.',
      ),
    ca: path()
      .optional()
      .describe("Certificates of the authorities that it is checked against, PEM; absent = the system's."),
    cert: path().optional().describe('Our certificate for mutual TLS, PEM; with `key`.'),
    key: path().optional().describe('Key of our certificate, PEM, readable by the agent only.'),
    timeout: duration('100ms', '1m').prefault('10s').describe('Longest time for one request to it.'),
  })

/** What every kind of node has. */
export const nodeSections = {
  host: z
    .strictObject({
      name: plainName('a name')
        .optional()
        .describe('Name of this host in logs and metrics; absent = the system host name.'),
      address: localAddress()
        .optional()
        .describe("Address that others reach us at; absent = that of the default route's interface."),
      zone: text(0, 128).prefault('').describe('Zone, for zone-aware balancing.'),
      region: text(0, 128).prefault('').describe('Region, for zone-aware balancing.'),
      labels: textMap()
        .prefault({})
        .describe('Labels of this host: a center gives a rule to hosts with some label first (`docs/hosts.md`).'),
    })
    .prefault({})
    .describe('This host.'),
  registries: z
    .array(registrySection)
    .max(16)
    .prefault([])
    .describe(
      'Where services come from. The order is the precedence: the first registry that knows a service serves it alone.',
    ),
  endpoints: z
    .strictObject({
      allowLoopbackEndpoints: flag()
        .prefault(false)
        .describe('Accept loopback addresses from registries. For demonstrations and tests on one machine only.'),
      maxPerService: integer(1, 100_000)
        .prefault(10_000)
        .describe('Endpoints of one service; more are cut off, by address.'),
      protectShare: share()
        .prefault(0.3)
        .describe(
          'An update may not shrink a service below this share in one step (and never to nothing) without confirmation; 0 switches that off.',
        ),
      confirmAfter: duration('100ms', '1h')
        .prefault('30s')
        .describe('A held-back update that is still the newest word after this time is taken as true.'),
      staleAfter: duration('1s', '24h')
        .prefault('90s')
        .describe('A registry that was not heard for this time counts as stale.'),
    })
    .prefault({})
    .describe('What we accept from registries.'),
  dns: z
    .strictObject({
      servers: z
        .array(remoteAddress())
        .max(8)
        .prefault([])
        .describe(
          'Name servers for the names in ServiceEntries, `10.0.0.2:53`; absent = those of `/etc/resolv.conf`, and what they do not know is left to the system.',
        ),
      minRefresh: duration('1s', '1h')
        .prefault('5s')
        .describe('A name is looked up again at the end of its TTL, but never sooner than this.'),
      maxRefresh: duration('1s', '24h').prefault('5m').describe('Nor later than this.'),
    })
    .prefault({})
    .describe('How names in ServiceEntries become addresses.'),
  outbound: z
    .strictObject({
      http: optionalListenAddress()
        .optional()
        .describe(
          'Shared HTTP port: the request names the service. Absent = `127.0.0.1:15001` on an agent, `off` in a center.',
        ),
      address: localAddress().prefault('127.0.0.1').describe('Address of the ports of single services.'),
      portRange: portRange().prefault('20000-20999').describe('Ports that are allocated to outbound services.'),
      halfClosed: halfClosed()
        .prefault('gone')
        .describe(
          'An HTTP caller that closes its side behind a whole request: `gone` = it gave up, its request ends; `answered` = it is answered within `limits.halfClosedTimeout`.',
        ),
      rpc: z
        .array(outboundRpc)
        .max(16)
        .prefault([])
        .describe('Shared ports of private RPC: each request names its service in the head of the protocol.'),
      sockets: z
        .array(outboundSocket)
        .max(256)
        .prefault([])
        .describe('Unix sockets for local applications, beside the ports: cheaper, and guarded by the file system.'),
      tunnels: outboundTunnels
        .prefault({})
        .describe('CONNECT and SOCKS5 for local applications: raw bytes to services that the mesh knows.'),
      services: z
        .array(outboundService)
        .max(10_000)
        .prefault([])
        .describe('Services with a localhost port of their own.'),
      idleRelease: duration('1s', '24h')
        .prefault('10m')
        .describe('A service that was asked for on demand is let go after this time without use.'),
      maxOnDemand: integer(1, 100_000)
        .prefault(10_000)
        .describe('Services asked for on demand at the same time; more are refused.'),
    })
    .prefault({})
    .describe('From local applications to services.'),
  inbound: z
    .strictObject({
      address: localAddress().optional().describe('Address of the inbound ports; absent = the host address.'),
      portRange: portRange().prefault('21000-21999').describe('Ports that are allocated to local applications.'),
      halfClosed: halfClosed()
        .prefault('gone')
        .describe('As `outbound.halfClosed`, for callers of local applications.'),
    })
    .prefault({})
    .describe('From the network to local applications.'),
  identity: identitySection,
  tls: z
    .strictObject({
      identities: z
        .array(
          z.strictObject({
            certificate: path().describe(
              'Certificate with its intermediates, PEM; its one URI name is the SPIFFE id, `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.',
            ),
            key: path().describe('Its key, PEM, readable by the agent only.'),
            trustBundle: path().describe('Roots that peers are checked against, PEM.'),
          }),
        )
        .max(1000)
        .prefault([])
        .describe("Identities from files, read again when they change. The first is the host's own."),
      credentialsDir: path()
        .prefault('credentials.d')
        .describe(
          'A folder for each `credentialName` of rules, with `tls.crt` and `tls.key`, `ca.crt`, or all three; read again when they change.',
        ),
    })
    .prefault({})
    .describe('Mutual TLS between hosts (`docs/mtls.md`).'),
  workers: autoOr(1, 64).prefault('auto').describe('Worker processes; `auto` = one per processor.'),
  workerTransport: oneOf('auto', 'epoll', 'raw', 'public')
    .prefault('auto')
    .describe(
      'How workers serve their sockets: the first of `epoll`, `raw`, `public` that this host proves fit, from the named one on; `auto` from `epoll` on. `raw` does without decision 0035.',
    ),
  admin: z
    .strictObject({
      address: optionalListenAddress()
        .prefault('127.0.0.1:15000')
        .describe('Admin over HTTP; must be a loopback address.'),
      socket: path()
        .optional()
        .describe('Unix socket of the admin interface, mode 0600; absent = `admin.sock` in the run directory.'),
    })
    .prefault({})
    .describe('The admin interface.'),
  metrics: z
    .strictObject({
      address: optionalListenAddress().optional().describe(`Absent = the host address, port ${ownPorts.metrics}.`),
    })
    .prefault({})
    .describe('Metrics for Prometheus at `/metrics` and `/stats/prometheus`.'),
  readiness: z
    .strictObject({
      address: optionalListenAddress().optional().describe(`Absent = the host address, port ${ownPorts.readiness}.`),
    })
    .prefault({})
    .describe('Readiness at `/healthz/ready` and `/ready`.'),
  limits: limitsSection,
  accessLog: z
    .strictObject({
      format: oneOf('off', 'text', 'json').prefault('off').describe('Form of a line.'),
      textFormat: logFormat()
        .optional()
        .describe(
          "A line of text with Envoy's command operators, `%REQ(USER-AGENT)%`; absent = Envoy's default. `docs/operations.md` has the list.",
        ),
      path: text(1, 4096).prefault('-').describe('File, or `-` for standard output.'),
      share: share().prefault(1).describe('Share of requests that are logged; failed ones always are.'),
      collector: collector('otlp-http', 'otlp-grpc')
        .optional()
        .describe('Where each line goes as a log record of OpenTelemetry, whatever `format` says; absent = nowhere.'),
    })
    .prefault({})
    .describe('The access log.'),
  tracing: z
    .strictObject({
      createMissing: flag().prefault(true).describe('Begin a trace where the caller sent none.'),
      sampledShare: share().prefault(0.01).describe('Share of begun traces that are marked as sampled.'),
      propagation: z
        .array(oneOf(...traceFormats))
        .min(1)
        .max(3)
        .prefault(['w3c'])
        .describe(
          'Fields of begun traces: `w3c` (`traceparent`), `b3` (`x-b3-*`), `b3single` (`b3`). A trace of a caller goes on in the fields in which it came.',
        ),
      collector: collector('otlp-http', 'otlp-grpc', 'zipkin')
        .optional()
        .describe('Where spans of sampled requests go; absent = nowhere, and traces of callers pass unchanged.'),
    })
    .prefault({})
    .describe('Traces: their headers (W3C and B3), and spans of our own.'),
  generateRequestId: flag()
    .prefault(true)
    .describe('Give a request without `x-request-id` one (a UUID); one that is there is never changed.'),
  fallbackNetworks: z
    .array(cidr())
    .max(256)
    .prefault([])
    .describe(
      'Networks that `x-mesh-fallback` may name; empty = none. Never followed: ports of this agent, link-local and metadata addresses; loopback only where a network of loopback is named.',
    ),
  rpcProtocols: z
    .array(rpcProtocolSchema)
    .max(16)
    .prefault([])
    .describe(
      'Private RPC of your own, each described by how its frames look ([rpc-own-protocol](rpc-own-protocol.md)).',
    ),
  filters: filtersSection,
  nacosFace: nacosFaceSection,
  sofaFace: sofaFaceSection,
  runDir: path()
    .optional()
    .describe('Sockets of the running agent, mode 0700. Absent = `/run/hostmesh`, in a center `/run/hostmesh-center`.'),
  stateDir: path()
    .optional()
    .describe(
      'Snapshot, ports, relay targets, reports; mode 0700. Absent = `/var/lib/hostmesh`, in a center `/var/lib/hostmesh-center`.',
    ),
  servicesDir: path()
    .optional()
    .describe(
      'One YAML file per local application. Absent = `services.d`; for a center `center-services.d`, so that it leaves the applications of an agent beside it alone.',
    ),
  rulesDir: path().prefault('rules.d').describe('YAML files with rules.'),
  rules: z
    .strictObject({
      clusterDomain: hostDomain()
        .prefault('cluster.local')
        .describe('Ending of the names of a Kubernetes cluster in rules and in Host: `orders.prod.svc.cluster.local`.'),
      namespaces: placeMap()
        .prefault({})
        .describe(
          'What a namespace of a rule means here: `prod: public/PROD_GROUP`; those of registries and their groups mean themselves.',
        ),
      otherNamespaces: oneOf('own', 'separate')
        .prefault('own')
        .describe(
          'Every other namespace of a rule: `own` = the default namespace and group, `separate` = a registry namespace of that name.',
        ),
      rootNamespace: ruleNamespace()
        .prefault('istio-system')
        .describe('Policies of this namespace hold for every application and every call.'),
      trustDomain: hostDomain()
        .prefault('cluster.local')
        .describe('Of identities of local callers in policies, `TRUST_DOMAIN/ns/NAMESPACE/sa/APPLICATION`.'),
      extensionProviders: extensionProviders(),
    })
    .prefault({})
    .describe('How hosts and namespaces of rules read as services; `hostmesh check` shows it for each.'),
  watchdog: z
    .strictObject({
      drainDeadline: duration('1s', '24h')
        .prefault('30s')
        .describe('Longest time that an old generation may take to drain.'),
      startDeadline: duration('1s', '10m').prefault('20s').describe('Longest time until a new generation is ready.'),
      probeInterval: duration('100ms', '1m')
        .prefault('2500ms')
        .describe('Pause between questions for a sign of life; every second one is a real request.'),
      probeTimeout: duration('100ms', '1m')
        .prefault('2s')
        .describe(
          'Without an answer for so long another process accepts for a worker; after twice as long, and 4 s at least, a process is ended and replaced.',
        ),
      maxMemory: size('64MiB', '1024GiB')
        .prefault('1GiB')
        .describe('Resident memory of one worker or control; above it the process is replaced.'),
      maxGenerations: integer(2, 10)
        .prefault(3)
        .describe('Generations alive at the same time; the oldest is ended when another one is needed.'),
    })
    .prefault({})
    .describe('How the watchdog supervises.'),
  logging: z
    .strictObject({
      level: oneOf('trace', 'debug', 'info', 'warn', 'error')
        .prefault('info')
        .describe('Least important level that is written.'),
    })
    .prefault({})
    .describe('The log of control.'),
}

export const agentFileSchema = z.strictObject({
  role: oneOf('agent')
    .prefault('agent')
    .describe('What this file describes; the file of a global mesh center says `center`.'),
  ...nodeSections,
  gateway: gatewaySection,
  center: centerSection,
})

/** `services.d/*.yaml`: one local application. */
export const applicationFileSchema = z.strictObject({
  service: serviceName().describe('The service that the application is an instance of.'),
  port: port().describe('Where the application listens on this host.'),
  address: localAddress().prefault('127.0.0.1').describe('Local address of that port.'),
  protocol: appProtocol()
    .prefault('http')
    .describe(
      'What the application speaks: `http2` and `grpc` by prior knowledge; `tcp` passes connection by connection, `udp` datagram by datagram. `websocket` is `http`; `bolt` is a private RPC.',
    ),
  registry: plainName('a name')
    .optional()
    .describe('Registry in which it is announced; absent = the first one that can register.'),
  cluster: text(1, 64).optional().describe('Nacos cluster; absent = that of the registry.'),
  weight: z
    .unknown()
    .transform((value, context): number => {
      if (typeof value === 'number' && value >= 0 && value <= 10_000) return value
      context.issues.push({
        code: 'custom',
        input: value,
        message: 'not allowed',
        params: { allowed: 'a number from 0 to 10000' },
      })
      return z.NEVER
    })
    .meta({ allowed: 'a number from 0 to 10000' })
    .prefault(1)
    .describe('1 is ordinary, 0 takes no traffic.'),
  version: text(1, 128).optional().describe('Version for subsets; the same as `metadata.version`.'),
  metadata: textMap().prefault({}).describe('Registered with the instance, seen by others.'),
  labels: textMap().prefault({}).describe('Labels of the application as a caller (`sourceLabels` in rules).'),
  user: userName()
    .optional()
    .describe('User that the application runs as; calls of this user count as calls of this application.'),
  identity: applicationIdentity,
  inboundPort: port()
    .optional()
    .describe('Pins the inbound port; absent = allocated from `inbound.portRange`, stable.'),
  halfClosed: halfClosed().optional().describe('As `inbound.halfClosed`, for callers of this application.'),
  check: z
    .strictObject({
      tcp: flag()
        .optional()
        .describe(
          '`true`: a connection is enough. The default, but for `udp`, which is not checked unless it says how.',
        ),
      http: httpPath().optional().describe('Path that must answer 2xx.'),
      grpc: text(0, 256).optional().describe('Service name for the gRPC health protocol; empty = the whole server.'),
      off: flag().optional().describe('`true`: never checked, always healthy.'),
      interval: duration('100ms', '1h').prefault('5s').describe('Pause between checks.'),
      timeout: duration('10ms', '1m').prefault('1s').describe('Longest wait for an answer.'),
      healthyThreshold: integer(1, 100).prefault(1).describe('Good answers in a row until healthy.'),
      unhealthyThreshold: integer(1, 100).prefault(3).describe('Bad answers in a row until unhealthy.'),
    })
    .prefault({})
    .describe('How the agent checks the application.'),
})

/** A file of any kind, as far as all are alike. */
export type NodeFile = z.output<z.ZodObject<typeof nodeSections>>
export type AgentFile = z.output<typeof agentFileSchema>
export type ApplicationFile = z.output<typeof applicationFileSchema>
