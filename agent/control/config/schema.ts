/**
 * The one schema of `agent.yaml`: types, defaults, checks and `docs/config.md` all come from here.
 * Every description is a line of the manual. Numbers name their source where they have one.
 */
import * as z from 'zod'
import { defaultLimits } from '../../../contracts/snapshot.ts'
import { traceFormats } from '../../../contracts/telemetry.ts'
import { nacosFaceSection } from '../kinds/nacos-face.ts'
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
  listenAddress,
  localAddress,
  oneOf,
  optionalListenAddress,
  path,
  placeMap,
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

const halfClosed = () => oneOf('gone', 'answered')

const outboundService = z.strictObject({
  service: serviceName().describe('The service to call.'),
  protocol: appProtocol()
    .prefault('http')
    .describe(
      'What is spoken to the endpoints; callers may speak HTTP/1.1 or HTTP/2 (by prior knowledge) to any but `tcp`, which passes connection by connection. `websocket` is `http`.',
    ),
  port: port().optional().describe('Pins the localhost port; absent = allocated from `outbound.portRange`, stable.'),
  halfClosed: halfClosed().optional().describe('As `outbound.halfClosed`, for this port alone.'),
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
    timeout: duration('100ms', '1m').prefault('10s').describe('Longest time for one request to it.'),
  })

const durationText = (ms: number): string =>
  ms % 60_000 === 0 ? `${ms / 60_000}m` : ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`

/** Of a center that says nothing about it, too: `apiSection.parse({})`. */
export const apiSection = z.strictObject({
  address: listenAddress().prefault('127.0.0.1:15014').describe('Read-only pages of the admin interface.'),
})

const limits = z
  .strictObject({
    maxRequestLineBytes: size('1KiB', '1MiB').prefault(defaultLimits.maxRequestLineBytes).describe('Request line.'),
    maxHeadBytes: size('4KiB', '1MiB').prefault(defaultLimits.maxHeadBytes).describe('Head of a request or response.'),
    maxFields: integer(10, 10_000).prefault(defaultLimits.maxFields).describe('Header fields of one head.'),
    maxChunkLineBytes: size('16B', '64KiB').prefault(defaultLimits.maxChunkLineBytes).describe('One chunk-size line.'),
    maxChunkExtensionBytes: size('0B', '1MiB')
      .prefault(defaultLimits.maxChunkExtensionBytes)
      .describe('All chunk extensions of one message.'),
    maxInterimReplies: integer(1, 1000)
      .prefault(defaultLimits.maxInterimReplies)
      .describe('1xx replies to one request.'),
    maxPipelined: integer(1, 1000)
      .prefault(defaultLimits.maxPipelined)
      .describe('Pipelined requests of a connection that are served in one go before others get their turn.'),
    maxDrainBytes: size('0B', '1GiB')
      .prefault(defaultLimits.maxDrainBytes)
      .describe('Unwanted rest of a request that is read and thrown away, so that no reset destroys the answer.'),
    drainTimeout: duration('10ms', '1m')
      .prefault(durationText(defaultLimits.drainTimeoutMs))
      .describe('Time for that.'),
    headTimeout: duration('100ms', '10m')
      .prefault(durationText(defaultLimits.headTimeoutMs))
      .describe('From the first byte of a request to the end of its head.'),
    keepAliveTimeout: duration('1s', '1h')
      .prefault(durationText(defaultLimits.keepAliveTimeoutMs))
      .describe('Idle time of a downstream connection between requests.'),
    halfClosedTimeout: duration('10ms', '1h')
      .prefault(durationText(defaultLimits.halfClosedTimeoutMs))
      .describe(
        'Until the reply to a caller begins that closed its side, where such callers are answered (`halfClosed`).',
      ),
    bodyIdleTimeout: duration('100ms', '1h')
      .prefault(durationText(defaultLimits.bodyIdleTimeoutMs))
      .describe('Longest pause inside a body.'),
    requestTimeout: duration('100ms', '24h')
      .prefault(durationText(defaultLimits.requestTimeoutMs))
      .describe('Whole request, where no rule says otherwise.'),
    maxConnections: integer(16, 1_000_000)
      .prefault(defaultLimits.maxConnections)
      .describe('Downstream connections of one worker; more are shed.'),
    maxParkedRequests: integer(1, 100_000)
      .prefault(defaultLimits.maxParkedRequests)
      .describe('Requests of one worker that wait until control knows their service.'),
    parkTimeout: duration('10ms', '1m')
      .prefault(durationText(defaultLimits.parkTimeoutMs))
      .describe('Longest such wait.'),
  })
  .prefault({})
  .describe('Bounds of the data path; `docs/limits.md` says what happens at each.')

export const agentFileSchema = z.strictObject({
  role: oneOf('agent', 'center')
    .prefault('agent')
    .describe('`agent` on a host, `center` for a global mesh center that serves hosts whose agent is dead.'),
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
  center: z
    .strictObject({
      addresses: z
        .array(remoteAddress())
        .max(64)
        .prefault([])
        .describe('Relay ports of the centers, tried in a per-host shuffled order.'),
      secretFile: path()
        .optional()
        .describe(
          'File with the secret that the centers ask for (`relay.secretFile` there): one line; while it is being changed the new one first, the old one second.',
        ),
    })
    .prefault({})
    .describe('The centers that an agent falls back to.'),
  relay: z
    .strictObject({
      address: listenAddress().prefault('0.0.0.0:15443').describe('Where a center takes relayed connections of hosts.'),
      maxConnections: integer(1, 1_000_000)
        .prefault(10_000)
        .describe('Relayed connections of one worker; more are shed.'),
      maxConnectionsPerHost: integer(1, 1_000_000)
        .prefault(1000)
        .describe('Relayed connections of one peer address and worker; more are shed.'),
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
    })
    .optional()
    .describe('Only with `role: center`: the relay listener and its admission bounds.'),
  api: apiSection.optional().describe('Only with `role: center`: the read-only API.'),
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
      address: optionalListenAddress().optional().describe('Absent = the host address, port 15020.'),
    })
    .prefault({})
    .describe('Metrics for Prometheus at `/metrics` and `/stats/prometheus`.'),
  readiness: z
    .strictObject({
      address: optionalListenAddress().optional().describe('Absent = the host address, port 15021.'),
    })
    .prefault({})
    .describe('Readiness at `/healthz/ready` and `/ready`.'),
  limits,
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
    .describe('Networks that `x-mesh-fallback` may name; empty = none.'),
  nacosFace: nacosFaceSection,
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
        .describe('Without an answer for so long another process accepts for a worker.'),
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
})

/** `services.d/*.yaml`: one local application. */
export const applicationFileSchema = z.strictObject({
  service: serviceName().describe('The service that the application is an instance of.'),
  port: port().describe('Where the application listens on this host.'),
  address: localAddress().prefault('127.0.0.1').describe('Local address of that port.'),
  protocol: appProtocol()
    .prefault('http')
    .describe(
      'What the application speaks: `http2` and `grpc` by prior knowledge; `tcp` passes connection by connection. `websocket` is `http`.',
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
  inboundPort: port()
    .optional()
    .describe('Pins the inbound port; absent = allocated from `inbound.portRange`, stable.'),
  halfClosed: halfClosed().optional().describe('As `inbound.halfClosed`, for callers of this application.'),
  check: z
    .strictObject({
      tcp: flag().optional().describe('`true`: a connection is enough. The default.'),
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

export type AgentFile = z.output<typeof agentFileSchema>
export type ApplicationFile = z.output<typeof applicationFileSchema>
