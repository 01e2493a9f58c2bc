import { expect } from 'chai'
import { ordersRoutes, problemsOf, resource, ruleStore } from '../../../../../support/routing.ts'

const toOrders = 'route: [{ destination: { host: orders } }]'

/** What is written, the path of the problem, and a part of its text. */
type Case = readonly [spec: string, path: string, text: string]

function refuse(kind: string, cases: readonly Case[]): void {
  for (const [spec, path, text] of cases) {
    it(`refuses ${JSON.stringify(path)}: ${text}`, () => {
      const problems = problemsOf(resource(kind, spec))
      const found = problems.find((problem) => problem.startsWith(`${path}: `))
      expect(found ?? 'no problem', problems.join('\n')).to.include(text)
    })
  }
}

function refuseInRoute(cases: readonly Case[]): void {
  refuse(
    'VirtualService',
    cases.map(([route, path, text]) => [`hosts: [orders]\nhttp:\n- ${route}`, `spec.http[0]${path}`, text]),
  )
}

const missing = 'not implemented by this version'

describe('fields of a VirtualService that are not implemented', () => {
  refuseInRoute([
    [`${toOrders}\n  match: [{ uri: { exact: / }, statPrefix: x }]`, '.match[0].statPrefix', missing],
    [`${toOrders}\n  retries: { attempts: 1, retryRemoteLocalities: true }`, '.retries.retryRemoteLocalities', missing],
    [`${toOrders}\n  retries: { attempts: 1, retryOn: retriable-headers }`, '.retries.retryOn', missing],
    [
      `${toOrders}\n  fault: { delay: { fixedDelay: 1s, percent: 5, percentage: { value: 5 } } }`,
      '.fault.delay',
      'both percentage and percent',
    ],
    [`${toOrders}\n  appendHeaders: { a: b }`, '.appendHeaders', 'use headers.request.add'],
    [`${toOrders}\n  websocketUpgrade: false`, '.websocketUpgrade', 'WebSockets pass without it'],
    ['redirect: { uri: /a }\n  headers: { request: { set: { a: b } } }', '.headers.request', 'nothing is forwarded'],
    [
      `${toOrders}\n  fault: { delay: { fixedDelay: 1s, exponentialDelay: 1s } }`,
      '.fault.delay.exponentialDelay',
      missing,
    ],
    [`${toOrders}\n  fault: { abort: { httpStatus: 500, grpcStatus: X } }`, '.fault.abort.grpcStatus', missing],
    [`${toOrders}\n  fault: { abort: { httpStatus: 500, http2Error: X } }`, '.fault.abort.http2Error', missing],
    [
      `${toOrders}\n  corsPolicy: { allowOrigins: [{ exact: a }], allowOrigin: [a] }`,
      '.corsPolicy',
      'exactly one of allowOrigins and the older allowOrigin',
    ],
    [
      `${toOrders}\n  headers: { request: { set: { x-a: "%DOWNSTREAM_REMOTE_ADDRESS%" } } }`,
      '.headers.request.set.x-a',
      '%DOWNSTREAM_REMOTE_ADDRESS%: formatters in header values are not implemented',
    ],
  ])
})

describe('a VirtualService with a mistake', () => {
  refuse('VirtualService', [
    [`http: [{ ${toOrders} }]`, 'spec.hosts', 'none does, so it has no effect'],
    ['tcp: [{ route: [{ destination: { host: a } }] }]', 'spec.hosts', 'only http routes can be delegated to'],
    ['http: [{ delegate: { name: x } }]', 'spec.http[0].delegate', 'does not delegate'],
    [`hosts: [orders]\nexportTo: ["~"]\nhttp: [{ ${toOrders} }]`, 'spec.exportTo[0]', 'would export to nobody'],
    [`hosts: []\nhttp: [{ ${toOrders} }]`, 'spec.hosts', 'an empty list'],
    ['hosts: [orders]', 'spec', 'neither http nor tcp'],
    [`hosts: ["*a"]\nhttp: [{ ${toOrders} }]`, 'spec.hosts[0]', 'found "*a", allowed a host like orders'],
    [`hosts: ["a b"]\nhttp: [{ ${toOrders} }]`, 'spec.hosts[0]', 'allowed a host like'],
    [`hosts: [orders]\nhtpp: [{ ${toOrders} }]`, 'spec.htpp', 'unknown field (nearest: http)'],
    [
      `hosts: [orders]\nhttp: [{ name: a, ${toOrders} }, { name: a, ${toOrders} }]`,
      'spec.http[1].name',
      'the name a is taken by http[0]',
    ],
    [
      'hosts: [orders]\ntcp: [{ match: [{}], route: [{ destination: { host: a } }] }]',
      'spec.tcp[0].match[0]',
      'without a condition',
    ],
    [
      'hosts: [orders]\ntcp: [{ match: [{ sourceSubnet: 10.0.0.0/33 }], route: [{ destination: { host: a } }] }]',
      'spec.tcp[0].match[0].sourceSubnet',
      'a network like 10.0.0.0/8',
    ],
    ['hosts: [orders]\ntcp: [{ route: [] }]', 'spec.tcp[0].route', 'an empty list'],
  ])
  refuseInRoute([
    ['name: x', '', 'found none of route, redirect, directResponse, delegate'],
    [`${toOrders}\n  redirect: { uri: /a }`, '', 'found route and redirect'],
    [`redirect: { uri: /a }\n  retries: { attempts: 2 }`, '.retries', 'nothing is forwarded'],
    [`${toOrders}\n  match: [{}]`, '.match[0]', 'a match without a condition'],
    [`${toOrders}\n  match: [{ uri: { exact: /a, prefix: /b } }]`, '.match[0].uri', 'found 2 of exact, prefix, regex'],
    [`${toOrders}\n  match: [{ uri: {} }]`, '.match[0].uri', 'found 0 of exact, prefix, regex'],
    [`${toOrders}\n  match: [{ uri: { regex: "(a" } }]`, '.match[0].uri.regex', 'not RE2 syntax: missing closing )'],
    [`${toOrders}\n  match: [{ uri: { regex: "(a)\\\\1" } }]`, '.match[0].uri.regex', 'not RE2 syntax'],
    [`${toOrders}\n  match: [{ uri: { regex: "(?=a)b" } }]`, '.match[0].uri.regex', 'not RE2 syntax'],
    [
      `${toOrders}\n  match: [{ uri: { regex: "(a{1,100}){1,9}" } }]`,
      '.match[0].uri.regex',
      'instructions, allowed 200',
    ],
    [`${toOrders}\n  match: [{ headers: { uri: { exact: a } } }]`, '.match[0].headers.uri', 'use the field uri'],
    [`${toOrders}\n  match: [{ headers: { "a b": { exact: a } } }]`, '.match[0].headers.a b', 'not a header name'],
    [
      `${toOrders}\n  match: [{ headers: { "@request.auth.claims[__proto__]": { exact: a } } }]`,
      '.match[0].headers.@request.auth.claims[__proto__]',
      'found no claim, allowed @request.auth.claims.NAME',
    ],
    [
      `${toOrders}\n  match: [{ withoutHeaders: { "@request.auth.principal": { exact: a } } }]`,
      '.match[0].withoutHeaders.@request.auth.principal',
      'found no claim, allowed @request.auth.claims.NAME',
    ],
    [
      `${toOrders}\n  match: [{ headers: { A: { exact: a }, a: { exact: b } } }]`,
      '.match[0].headers',
      'a is given twice',
    ],
    [`${toOrders}\n  match: [{ port: 70000 }]`, '.match[0].port', 'a whole number from 1 to 65535'],
    ['route: [{ destination: { host: a }, weight: 0 }]', '.route', 'sum up to 0'],
    [
      'route: [{ destination: { host: a } }, { destination: { host: b }, weight: 1 }]',
      '.route',
      'only with a weight each',
    ],
    ['route: [{ destination: { host: "*.a" } }]', '.route[0].destination.host', 'found "*.a"'],
    ['route: [{ destination: { subset: a } }]', '.route[0].destination.host', 'found nothing'],
    [`${toOrders}\n  timeout: 5`, '.timeout', 'found 5, allowed a duration'],
    [`${toOrders}\n  timeout: 5 s`, '.timeout', 'allowed a duration'],
    [`${toOrders}\n  timeout: 25d`, '.timeout', 'allowed a duration'],
    [`${toOrders}\n  retries: { attempts: 11 }`, '.retries.attempts', 'from 0 to 10'],
    [`${toOrders}\n  retries: { attempts: 1, retryOn: "5xx,nope" }`, '.retries.retryOn', '"nope"'],
    [`${toOrders}\n  retries: { attempts: 1, retryOn: "," }`, '.retries.retryOn', 'an empty list'],
    [`${toOrders}\n  retries: { attempts: 1, perTryTimeout: 0s }`, '.retries.perTryTimeout', 'from 1ms'],
    [`${toOrders}\n  fault: {}`, '.fault', 'found neither'],
    [`${toOrders}\n  fault: { abort: { httpStatus: 99 } }`, '.fault.abort.httpStatus', 'from 200 to 599'],
    [
      `${toOrders}\n  fault: { abort: { httpStatus: 500, percentage: { value: 101 } } }`,
      '.fault.abort.percentage.value',
      'from 0 to 100',
    ],
    [
      `${toOrders}\n  mirror: { host: a }\n  mirrors: [{ destination: { host: b } }]`,
      '.mirrors',
      'both mirror and mirrors',
    ],
    [`${toOrders}\n  mirrorPercentage: { value: 5 }`, '.mirrorPercentage', 'only beside mirror'],
    [`${toOrders}\n  rewrite: { uri: no-slash }`, '.rewrite.uri', 'begins with /'],
    [`${toOrders}\n  rewrite: { uri: "/a b" }`, '.rewrite.uri', 'begins with /'],
    [
      `${toOrders}\n  rewrite: { uri: /a, uriRegexRewrite: { match: a, rewrite: b } }`,
      '.rewrite',
      'both uri and uriRegexRewrite',
    ],
    [
      `${toOrders}\n  rewrite: { uriRegexRewrite: { match: "(a)", rewrite: '\\2' } }`,
      '.rewrite.uriRegexRewrite.rewrite',
      '1 groups',
    ],
    [`${toOrders}\n  rewrite: { authority: "a\\r\\nb" }`, '.rewrite.authority', 'a host name'],
    ['redirect: { uri: /a, redirectCode: 200 }', '.redirect.redirectCode', '301, 302, 303, 307 or 308'],
    ['redirect: { port: 80, derivePort: FROM_REQUEST_PORT }', '.redirect', 'both port and derivePort'],
    ['redirect: { uri: "/a\\r\\nset-cookie: x" }', '.redirect.uri', 'printable ASCII'],
    ['directResponse: { status: 200, body: { string: a, bytes: aGk= } }', '.directResponse.body', 'exactly one of'],
    ['directResponse: { status: 200, body: { bytes: "?" } }', '.directResponse.body.bytes', 'base64'],
    [`${toOrders}\n  corsPolicy: { allowOrigins: [] }`, '.corsPolicy.allowOrigins', 'an empty list'],
    [
      `${toOrders}\n  corsPolicy: { allowOrigins: [{ exact: a }], allowMethods: ["GET\\r\\n"] }`,
      '.corsPolicy.allowMethods[0]',
      'a method',
    ],
  ])
})

describe('header edits that could split a message or lie about it', () => {
  const edit = (map: string, kind = 'set') => `${toOrders}\n  headers: { request: { ${kind}: ${map} } }`
  refuseInRoute([
    [edit('{ x-a: "a\\r\\nx-b: c" }'), '.headers.request.set.x-a', 'character 1 is 0xd'],
    [edit('{ x-a: "a\\nb" }'), '.headers.request.set.x-a', 'character 1 is 0xa'],
    [edit('{ x-a: "a\\0b" }'), '.headers.request.set.x-a', 'character 1 is 0x0'],
    [edit('{ x-a: "ü" }'), '.headers.request.set.x-a', 'printable ASCII'],
    [edit('{ x-a: " a" }'), '.headers.request.set.x-a', 'white space'],
    [edit('{ x-a: 1 }'), '.headers.request.set.x-a', 'quote numbers'],
    [edit('{ "x:a": b }'), '.headers.request.set.x:a', 'no header name'],
    [edit('{ "x a": b }'), '.headers.request.set.x a', 'no header name'],
    [edit('{ "": b }'), '.headers.request.set.', 'no header name'],
    [edit('{ "x\\r\\n": b }'), '.headers.request.set.x\r\n', 'no header name'],
    [edit('{ Content-Length: "1" }'), '.headers.request.set.Content-Length', 'frames the message'],
    [edit('{ Transfer-Encoding: chunked }', 'add'), '.headers.request.add.Transfer-Encoding', 'frames the message'],
    [edit('[connection]', 'remove'), '.headers.request.remove[0]', 'frames the message'],
    [edit('{ host: "a b" }'), '.headers.request.set', 'host: found "a b", allowed a host name'],
    [edit('{ host: a }', 'add'), '.headers.request.add.host', 'use rewrite.authority'],
    [edit('[host]', 'remove'), '.headers.request.remove[0]', 'use rewrite.authority'],
    [edit('{ host: a, ":authority": b }'), '.headers.request.set', 'given twice'],
    [
      `${toOrders}\n  headers: { response: { set: { host: a } } }`,
      '.headers.response.set.host',
      'use rewrite.authority',
    ],
    [edit('{ x-mesh-source: admin }'), '.headers.request.set.x-mesh-source', 'header of the mesh itself'],
    [edit('{ X-A: a, x-a: b }'), '.headers.request.set', 'x-a is given twice'],
  ])
})

describe('a DestinationRule that is refused', () => {
  const policy = (fields: string): string => `host: orders\ntrafficPolicy:\n  ${fields}`
  refuse('DestinationRule', [
    ['trafficPolicy: {}', 'spec.host', 'found nothing'],
    ['host: orders\nworkloadSelector: {}', 'spec.workloadSelector', missing],
    [policy('tunnel: {}'), 'spec.trafficPolicy.tunnel', missing],
    [policy('tls: { mode: TLS }'), 'spec.trafficPolicy.tls.mode', 'allowed DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL'],
    [policy('tls: { mode: MUTUAL, sni: a }'), 'spec.trafficPolicy.tls', 'MUTUAL without credentialName'],
    [policy('tls: { mode: MUTUAL, credentialName: a }'), 'spec.trafficPolicy.tls', 'it says who answers'],
    [policy('tls: { mode: ISTIO_MUTUAL, credentialName: a }'), 'spec.trafficPolicy.tls', 'shows the identity'],
    [
      policy('tls: { mode: SIMPLE, sni: a, credentialName: ../a }'),
      'spec.trafficPolicy.tls.credentialName',
      'a name of',
    ],
    [policy('tls: { mode: MUTUAL, privateKey: /a }'), 'spec.trafficPolicy.tls.privateKey', missing],
    [policy('tls: { mode: SIMPLE, caCertificates: /a }'), 'spec.trafficPolicy.tls.caCertificates', missing],
    [policy('tls: { mode: SIMPLE }'), 'spec.trafficPolicy.tls', 'it says who answers'],
    [policy('tls: { mode: DISABLE, sni: a }'), 'spec.trafficPolicy.tls', 'found sni with mode DISABLE'],
    [
      policy('loadBalancer: { simple: FASTEST }'),
      'spec.trafficPolicy.loadBalancer.simple',
      'allowed UNSPECIFIED, ROUND_ROBIN',
    ],
    [
      policy('loadBalancer: { simple: RANDOM, consistentHash: { useSourceIp: true } }'),
      'spec.trafficPolicy.loadBalancer',
      'both simple and consistentHash',
    ],
    [policy('loadBalancer: { consistentHash: {} }'), 'spec.trafficPolicy.loadBalancer.consistentHash', 'found no key'],
    [
      policy('loadBalancer: { consistentHash: { useSourceIp: true, httpHeaderName: a } }'),
      'spec.trafficPolicy.loadBalancer.consistentHash',
      'httpHeaderName and useSourceIp',
    ],
    [
      policy('loadBalancer: { consistentHash: { useSourceIp: true, minimumRingSize: 5, maglev: {} } }'),
      'spec.trafficPolicy.loadBalancer.consistentHash',
      'both maglev and minimumRingSize',
    ],
    [
      policy('loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 100 } } }'),
      'spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize',
      'a prime number',
    ],
    [
      policy('loadBalancer: { consistentHash: { httpCookie: { name: "a b" } } }'),
      'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.name',
      'a cookie name',
    ],
    [
      policy('loadBalancer: { consistentHash: { httpCookie: { name: a, path: "/;b" } } }'),
      'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.path',
      'begins with /',
    ],
    [
      policy('loadBalancer: { localityLbSetting: { failoverPriority: [a] } }'),
      'spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority',
      missing,
    ],
    [
      policy('loadBalancer: { localityLbSetting: { distribute: [{ from: "*", to: { a: 50 } }] } }'),
      'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to',
      'sum up to 50',
    ],
    [
      policy('loadBalancer: { localityLbSetting: { distribute: [{ from: a/b/c, to: { a: 100 } }] } }'),
      'spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].from',
      'sub-zones are not implemented',
    ],
    [
      policy(
        'loadBalancer: { localityLbSetting: { distribute: [{ from: a, to: { a: 100 } }], failover: [{ from: a, to: b }] } }',
      ),
      'spec.trafficPolicy.loadBalancer.localityLbSetting',
      'both distribute and failover',
    ],
    [
      policy('loadBalancer: { warmup: { duration: 1s, aggression: 2 } }'),
      'spec.trafficPolicy.loadBalancer.warmup.aggression',
      missing,
    ],
    [
      policy('loadBalancer: { warmup: { duration: 1s, minimumPercent: 2 } }'),
      'spec.trafficPolicy.loadBalancer.warmup.minimumPercent',
      missing,
    ],
    [
      policy('connectionPool: { http: { useClientProtocol: true } }'),
      'spec.trafficPolicy.connectionPool.http.useClientProtocol',
      'allowed false',
    ],
    [
      policy('connectionPool: { tcp: { maxConnections: 0 } }'),
      'spec.trafficPolicy.connectionPool.tcp.maxConnections',
      'from 1 to',
    ],
    [
      policy('outlierDetection: { consecutiveErrors: 5, consecutive5xxErrors: 5 }'),
      'spec.trafficPolicy.outlierDetection',
      'both consecutiveErrors and consecutive5xxErrors',
    ],
    [
      policy('portLevelSettings: [{ port: { number: 1 } }, { port: { number: 1 } }]'),
      'spec.trafficPolicy.portLevelSettings[1].port',
      'port 1 has settings already',
    ],
    [
      'host: orders\nsubsets: [{ name: a, labels: { v: "1" } }, { name: a, labels: { v: "2" } }]',
      'spec.subsets[1].name',
      'defined twice',
    ],
    [
      'host: orders\nsubsets: [{ name: a, labels: { version: 1 } }]',
      'spec.subsets[0].labels.version',
      'found 1, allowed text',
    ],
  ])
})

describe('a ServiceEntry that is refused', () => {
  const entry = (more: string): string =>
    `hosts: [api.example.com]\nports: [{ number: 80, name: http, protocol: HTTP }]\n${more}`
  refuse('ServiceEntry', [
    [entry('resolution: ANY'), 'spec.resolution', 'allowed NONE, STATIC, DNS'],
    [entry('resolution: DNS\naddresses: [10.0.0.1/33]'), 'spec.addresses[0]', 'a network like'],
    [entry('resolution: DNS\nworkloadSelector: {}'), 'spec.workloadSelector.labels', 'found nothing'],
    [entry('location: HERE'), 'spec.location', 'allowed MESH_EXTERNAL or MESH_INTERNAL'],
    [
      entry('workloadSelector: { labels: { a: b } }\nendpoints: [{ address: 10.0.0.1 }]'),
      'spec.workloadSelector',
      'both endpoints and workloadSelector',
    ],
    [entry('resolution: STATIC\naddresses: [10.0.0.0/8]'), 'spec.endpoints', 'needs endpoints'],
    ['hosts: ["*"]\nports: [{ number: 80, name: a }]', 'spec.hosts[0]', 'allowed a host or *.suffix'],
    ['hosts: [a]\nports: [{ number: 80, name: a }, { number: 80, name: b }]', 'spec.ports', 'numbers are unique'],
    [entry('resolution: STATIC\nendpoints: [{ address: "unix:///a" }]'), 'spec.endpoints[0].address', 'unix sockets'],
    [entry('resolution: DNS\nsubjectAltNames: [a]'), 'spec.subjectAltNames', missing],
    [entry('resolution: STATIC'), 'spec.endpoints', 'needs endpoints'],
    [
      entry('resolution: STATIC\nendpoints: [{ address: name.example.com }]'),
      'spec.endpoints[0].address',
      'is no IP address',
    ],
    [entry('resolution: STATIC\nendpoints: [{ address: 10.0.0.1, network: n }]'), 'spec.endpoints[0].network', missing],
    [
      entry('resolution: STATIC\nendpoints: [{ address: 10.0.0.1, serviceAccount: n }]'),
      'spec.endpoints[0].serviceAccount',
      missing,
    ],
    [
      entry('resolution: STATIC\nendpoints: [{ address: 10.0.0.1, ports: { grpc: 1 } }]'),
      'spec.endpoints[0].ports.grpc',
      'no port of that name, allowed http',
    ],
    [
      'hosts: [a]\nports: [{ number: 80, name: a, protocol: UDP }]\nresolution: DNS',
      'spec.ports[0].protocol',
      'allowed HTTP, GRPC-WEB',
    ],
  ])
})

describe('a MeshPolicy that is refused', () => {
  refuse('MeshPolicy', [
    ['hosts: [orders]', 'spec', 'a policy without a setting'],
    ['retryBudgets: {}', 'spec.retryBudgets', 'unknown field (nearest: retryBudget)'],
    ['loadBalancer: {}', 'spec.loadBalancer', 'exactly one of'],
    ['loadBalancer: { peakEwma: {}, leastRequest: {} }', 'spec.loadBalancer', 'exactly one of'],
    ['healthCheck: {}', 'spec.healthCheck', 'exactly one of http, tcp and grpc'],
    ['healthCheck: { http: { path: health } }', 'spec.healthCheck.http.path', 'begins with /'],
    ['rateLimits: [{ name: a, maxTokens: 1 }]', 'spec.rateLimits[0].fillInterval', 'found nothing, allowed a duration'],
    [
      'rateLimits: [{ name: a, maxTokens: 1, fillInterval: 1s }, { name: a, maxTokens: 1, fillInterval: 1s }]',
      'spec.rateLimits[1].name',
      'is taken',
    ],
    ['panicThresholdPercent: 101', 'spec.panicThresholdPercent', 'from 0 to 100'],
  ])
})

describe('a Gateway that is refused', () => {
  const port = 'port: { number: 443, name: a, protocol: HTTPS }'
  const server = (more: string): string => `servers: [{ ${port}, hosts: [a.example.com], ${more} }]`
  refuse('Gateway', [
    ['selector: { a: b }', 'spec.servers', ''],
    ['servers: []', 'spec.servers', 'at least 1'],
    [server('tls: { mode: SIMPLE, credentialName: a }, x: 1'), 'spec.servers[0].x', 'unknown field'],
    [server('tls: {}'), 'spec.servers[0].tls.mode', 'PASSTHROUGH, SIMPLE, MUTUAL, ISTIO_MUTUAL'],
    [server('tls: { mode: AUTO_PASSTHROUGH }'), 'spec.servers[0].tls.mode', missing.replace(' by this version', '')],
    [server('tls: { mode: SIMPLE }'), 'spec.servers[0].tls.credentialName', 'SIMPLE needs it'],
    [server('tls: { mode: ISTIO_MUTUAL, credentialName: a }'), 'spec.servers[0].tls.credentialName', 'no use for it'],
    [
      server('tls: { mode: SIMPLE, serverCertificate: /a, privateKey: /b }'),
      'spec.servers[0].tls.serverCertificate',
      'rules name no files of a host',
    ],
    [server('tls: { mode: SIMPLE, credentialName: ../a }'), 'spec.servers[0].tls.credentialName', 'a name of'],
    [
      server('tls: { mode: SIMPLE, credentialName: a, maxProtocolVersion: TLSV1_2 }'),
      'spec.servers[0].tls.maxProtocolVersion',
      'TLS 1.3 alone',
    ],
    [
      server('tls: { mode: SIMPLE, credentialName: a, subjectAltNames: [a] }'),
      'spec.servers[0].tls.subjectAltNames',
      'only with MUTUAL',
    ],
    [
      server('tls: { mode: SIMPLE, credentialName: a, httpsRedirect: true }'),
      'spec.servers[0].tls.httpsRedirect',
      'only for HTTP',
    ],
    [
      'servers: [{ port: { number: 80, protocol: HTTP }, hosts: [a], tls: { mode: SIMPLE, credentialName: a } }]',
      'spec.servers[0].tls.mode',
      'HTTP is not secured',
    ],
    [
      'servers: [{ port: { number: 80, protocol: UDP }, hosts: [a] }]',
      'spec.servers[0].port.protocol',
      'HTTP, HTTP2, GRPC, HTTPS, TLS, TCP',
    ],
    [
      'servers: [{ port: { number: 80, protocol: HTTP }, hosts: ["a/b/c"] }]',
      'spec.servers[0].hosts[0]',
      'a host name like',
    ],
    [
      'servers: [{ port: { number: 80, protocol: HTTP }, hosts: [a], bind: localhost }]',
      'spec.servers[0].bind',
      'an IP address',
    ],
  ])
})

describe('an envelope that is refused', () => {
  const good = ordersRoutes(`- ${toOrders}`)
  const cases: readonly (readonly [string, string, string])[] = [
    [good.replace('kind: VirtualService', 'kind: WasmPlugin'), 'kind', 'WasmPlugin is not implemented by this version'],
    [good.replace('kind: VirtualService', 'kind: Sidecar'), 'kind', 'use outbound in agent.yaml'],
    [good.replace('kind: VirtualService', 'kind: Deployment'), 'kind', 'says nothing about traffic here'],
    [
      good.replace('kind: VirtualService', 'kind: VirtualServices'),
      'kind',
      'is no kind of resource, allowed VirtualService, DestinationRule, ServiceEntry, WorkloadEntry, Gateway, HTTPRoute, GRPCRoute, TCPRoute, PeerAuthentication, MeshPolicy, AuthorizationPolicy, RequestAuthentication (nearest: VirtualService)',
    ],
    [good.replace('kind: VirtualService', 'x: 1'), 'kind', 'found no kind'],
    [
      good.replace('networking.istio.io/v1', 'networking.istio.io/v2'),
      'apiVersion',
      'found "networking.istio.io/v2", allowed networking.istio.io/v1',
    ],
    [good.replace('apiVersion: networking.istio.io/v1', 'a: 1'), 'apiVersion', 'found nothing'],
    [good.replace('{ name: orders }', '{}'), 'metadata.name', 'found nothing, allowed a name'],
    [good.replace('{ name: orders }', '{ name: orders, uuid: x }'), 'metadata.uuid', 'unknown field'],
    [`kind: List\n`, 'items', 'allowed a list of resources'],
    ['- a\n- b\n', '', 'found no map'],
    ['just text\n', '', 'found no map'],
  ]
  for (const [text, path, message] of cases) {
    it(`refuses ${path === '' ? 'what is no resource' : path}: ${message}`, () => {
      const problems = problemsOf(text)
      expect(
        problems.find((problem) => problem.startsWith(`${path}: `)),
        problems.join('\n'),
      ).to.include(message)
    })
  }
})

describe('an envelope as a cluster prints it', () => {
  const asPrinted = `apiVersion: v1
kind: List
metadata: { resourceVersion: "" }
items:
- apiVersion: networking.istio.io/v1
  kind: VirtualService
  metadata:
    annotations: { kubectl.kubernetes.io/last-applied-configuration: "{}" }
    creationTimestamp: "2024-05-01T10:00:00Z"
    generation: 3
    labels: null
    managedFields: [{ manager: kubectl, operation: Update }]
    name: orders
    ownerReferences: []
    resourceVersion: "4711"
    selfLink: /apis/x
    uid: 0a1b
  spec: { hosts: [orders], http: [{ timeout: 3s, ${toOrders} }] }
  status: { conditions: [] }
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: { name: orders }
  spec: { host: orders, trafficPolicy: { loadBalancer: { simple: FAST } } }
`
  it('is read item by item, what the cluster itself wrote is left out, and problems have their own lines', () => {
    const store = ruleStore()
    const { statuses } = store.replaceSource('rules.d', [{ name: 'all.yaml', text: asPrinted }])
    expect(statuses.map(({ kind, state, line }) => [kind, state, line])).to.deep.equal([
      ['VirtualService', 'applied', 5],
      ['DestinationRule', 'rejected', 20],
    ])
    expect(statuses[1]!.problems.map(({ path, line }) => [path, line])).to.deep.equal([
      ['spec.trafficPolicy.loadBalancer.simple', 23],
    ])
    expect(store.virtualHost('public/DEFAULT_GROUP@@orders').spec.http[0]!.timeoutMs).to.equal(3000)
  })

  it('survives a restart, item by item', () => {
    const store = ruleStore()
    store.replaceSource('rules.d', [{ name: 'all.yaml', text: asPrinted }])
    const next = ruleStore()
    next.importState(JSON.parse(JSON.stringify(store.exportState())))
    expect(next.virtualHost('public/DEFAULT_GROUP@@orders').spec.http[0]!.timeoutMs).to.equal(3000)
  })
})

it('all problems of a resource are told at once, each with its line and column', () => {
  const text = ordersRoutes(`
- timeout: 5
  ${toOrders}
  retries:
    attempts: many
    retyOn: 5xx
`)
  const { statuses } = ruleStore().replaceSource('rules.d', [
    { name: 'orders.yaml', text: `---\n# first line\n${text}` },
  ])
  expect(statuses).to.have.length(1)
  expect(statuses[0]).to.include({
    document: 'orders.yaml',
    state: 'rejected',
    inForce: false,
    line: 3,
    name: 'orders',
  })
  expect(statuses[0]!.problems.map(({ path, line, column }) => [path, line, column])).to.deep.equal([
    ['spec.http[0].timeout', 9, 5],
    ['spec.http[0].retries.attempts', 12, 7],
    ['spec.http[0].retries.retyOn', 13, 7],
  ])
})
