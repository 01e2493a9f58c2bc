/**
 * Istio documents as people write them, for the share that is accepted. Written for this test after the forms that
 * public repositories show: Istio's own samples and tasks, charts, blueprints of platform teams, and what `kubectl get
 * -o yaml` prints. Grouped by kind; those that need a gateway or TLS are listed apart, since a mesh without them cannot
 * take them.
 */

const meta = (name: string, more = ''): string => `{ name: ${name}${more} }`
const printed = `, namespace: shop, uid: 0a, resourceVersion: "1", generation: 2, creationTimestamp: "2024-01-01T00:00:00Z", labels: { app.kubernetes.io/managed-by: Helm }, annotations: { kubectl.kubernetes.io/last-applied-configuration: "{}" }`

let count = 0
function document(kind: string, spec: string, more = '', version = 'v1beta1'): string {
  count++
  return `apiVersion: networking.istio.io/${version}\nkind: ${kind}\nmetadata: ${meta(`d${count}`, more)}\nspec: ${spec}\n`
}

const reviews = 'reviews.bookinfo.svc.cluster.local'
const to = (host: string, more = ''): string => `route: [{ destination: { host: ${host}${more} } }]`

export const virtualServices: readonly string[] = [
  `{ hosts: [reviews], http: [{ ${to('reviews', ', subset: v1')} }] }`,
  `{ hosts: [${reviews}], http: [{ match: [{ headers: { end-user: { exact: jason } } }], ${to(reviews, ', subset: v2')} }, { ${to(reviews, ', subset: v1')} }] }`,
  `{ hosts: [ratings], http: [{ fault: { delay: { percentage: { value: 100.0 }, fixedDelay: 7s } }, match: [{ headers: { end-user: { exact: jason } } }], ${to('ratings')} }, { ${to('ratings')} }] }`,
  `{ hosts: [ratings], http: [{ fault: { abort: { percent: 100, httpStatus: 500 } }, ${to('ratings')} }] }`,
  `{ hosts: [httpbin], http: [{ ${to('httpbin', ', subset: v1')}, mirror: { host: httpbin, subset: v2 }, mirror_percent: 100 }] }`,
  `{ hosts: [httpbin], http: [{ ${to('httpbin')}, mirror: { host: httpbin, subset: v2 }, mirrorPercentage: { value: 10.0 } }] }`,
  `{ hosts: [productpage], http: [{ timeout: 0.5s, retries: { attempts: 3, perTryTimeout: 2s, retryOn: "gateway-error,connect-failure,refused-stream" }, ${to('productpage')} }] }`,
  `{ hosts: [cart], http: [{ retries: { attempts: 2, retryOn: "connect-failure,refused-stream,unavailable,cancelled,503", retryIgnorePreviousHosts: false }, ${to('cart')} }] }`,
  `{ hosts: ["*.example.com"], exportTo: ["."], http: [{ ${to('web')} }] }`,
  `{ hosts: [shop], exportTo: ["*"], http: [{ ${to('shop')} }] }`,
  `{ hosts: [shop.example.com, shop], gateways: [istio-system/public, mesh], http: [{ match: [{ uri: { prefix: /api } }], ${to('api', ', port: { number: 8080 }')} }, { ${to('web')} }] }`,
  `{ hosts: [tracks], http: [{ match: [{ headers: { x-trace: { regex: "*" } } }], ${to('tracks')} }] }`,
  `{ hosts: [tracks], http: [{ match: [{ headers: { cookie: { regex: "^(.*?;)?(user=jason)(;.*)?$" } } }], ${to('tracks')} }] }`,
  `{ hosts: [legacy], http: [{ rewrite: { uri: / }, match: [{ uri: { prefix: /legacy } }], ${to('legacy')} }] }`,
  `{ hosts: [legacy], http: [{ redirect: { uri: /v2, authority: new.example.com }, match: [{ uri: { exact: /v1 } }] }, { ${to('legacy')} }] }`,
  `{ hosts: [api], http: [{ corsPolicy: { allowOrigin: ["*"], allowMethods: [GET, POST], allowHeaders: [authorization], maxAge: 24h }, ${to('api')} }] }`,
  `{ hosts: [api], http: [{ corsPolicy: { allowOrigins: [{ exact: "*" }, { regex: ".*" }], allowCredentials: false }, ${to('api')} }] }`,
  `{ hosts: [api], http: [{ headers: { request: { set: { Host: backend.example.com } } }, ${to('api')} }] }`,
  `{ hosts: [api], http: [{ headers: { response: { add: { x-served-by: mesh }, remove: [server] } }, ${to('api')} }] }`,
  `{ hosts: [web], http: [{ match: [{ uri: { prefix: /productpage } }], delegate: { name: productpage, namespace: nsA } }, { ${to('web')} }] }`,
  `{ http: [{ match: [{ uri: { prefix: /productpage/v1 } }], ${to('productpage-v1.nsA.svc.cluster.local')} }] }`,
  `{ hosts: [mongo], tcp: [{ match: [{ port: 27017 }], ${to('mongo.backup.svc.cluster.local', ', port: { number: 5555 }')} }] }`,
  `{ hosts: [echo], tcp: [{ route: [{ destination: { host: tcp-echo, subset: v1 }, weight: 80 }, { destination: { host: tcp-echo, subset: v2 }, weight: 20 }] }] }`,
  `{ hosts: [orders], http: [{ match: [{ sourceLabels: { app: checkout, version: v2 }, port: 80 }], ${to('orders', ', subset: v2')} }, { ${to('orders')} }] }`,
  `{ hosts: ["*"], http: [{ match: [{ uri: { prefix: /status } }], ${to('status')} }] }`,
  `{ hosts: [flags], http: [{ name: "primary", route: [{ destination: { host: flags }, weight: 100 }, { destination: { host: flags-canary }, weight: 0 }] }] }`,
  `{ hosts: [ws], http: [{ websocketUpgrade: true, ${to('ws')} }] }`,
  `{ hosts: [grpc], http: [{ fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 1 } } }, ${to('grpc')} }] }`,
  `{ hosts: [files], http: [{ match: [{ ignoreUriCase: true, uri: { prefix: /Files } }, { queryParams: { debug: { exact: "true" } }, withoutHeaders: { x-no: {} } }], ${to('files')} }] }`,
  `{ hosts: [direct], http: [{ directResponse: { status: 503, body: { string: down } } }] }`,
].map((spec, index) =>
  document(
    'VirtualService',
    spec,
    index % 3 === 0 ? printed : index % 3 === 1 ? ', namespace: bookinfo' : '',
    index % 2 === 0 ? 'v1alpha3' : 'v1',
  ),
)

const subsets = 'subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]'

export const destinationRules: readonly string[] = [
  `{ host: reviews, ${subsets} }`,
  `{ host: ${reviews}, trafficPolicy: { loadBalancer: { simple: RANDOM } }, ${subsets} }`,
  `{ host: httpbin, trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1, maxRequestsPerConnection: 1 } }, outlierDetection: { consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100 } } }`,
  `{ host: httpbin, trafficPolicy: { outlierDetection: { consecutiveErrors: 5, interval: 30s, baseEjectionTime: 30s, maxEjectionPercent: 50 } } }`,
  `{ host: db, trafficPolicy: { connectionPool: { tcp: { maxConnections: 100, connectTimeout: 30ms, tcpKeepalive: { time: 7200s, interval: 75s } } } } }`,
  `{ host: "*.local", trafficPolicy: { loadBalancer: { simple: LEAST_CONN } } }`,
  `{ host: "*.shop.svc.cluster.local", exportTo: ["."], trafficPolicy: { connectionPool: { http: { maxRetries: 3, h2UpgradePolicy: DO_NOT_UPGRADE } } } }`,
  `{ host: cart, exportTo: ["*"], trafficPolicy: { loadBalancer: { consistentHash: { httpCookie: { name: user, ttl: 0s } } } } }`,
  `{ host: cart, trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: x-user, minimumRingSize: 1024 } } } }`,
  `{ host: cart, trafficPolicy: { loadBalancer: { localityLbSetting: { enabled: true, failover: [{ from: us-east, to: eu-west }] } }, outlierDetection: { consecutive5xxErrors: 100, interval: 1s, baseEjectionTime: 1m } } }`,
  `{ host: cart, trafficPolicy: { loadBalancer: { localityLbSetting: { distribute: [{ from: "us-west/zone1/*", to: { "us-west/zone1/*": 80, "us-west/zone2/*": 20 } }] } } } }`,
  `{ host: web, trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: LEAST_REQUEST } }, { port: { number: 9080 }, loadBalancer: { simple: ROUND_ROBIN } }] } }`,
  `{ host: web, trafficPolicy: { tls: { mode: DISABLE } } }`,
  `{ host: "*.local", trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }`,
  `{ host: api.example.com, trafficPolicy: { tls: { mode: SIMPLE, sni: api.example.com } } }`,
  `{ host: web, subsets: [{ name: all }, { name: canary, labels: { version: canary }, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } } }] }`,
  `{ host: web, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN, warmupDurationSecs: 60s } } }`,
  `{ host: api.example.com, trafficPolicy: { connectionPool: { http: { idleTimeout: 30s, http2MaxRequests: 1000, maxRequestsPerConnection: 0 } } } }`,
  `{ host: api, trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: UPGRADE } } } }`,
  `{ host: api, trafficPolicy: { loadBalancer: { localityLbSetting: { failoverPriority: ["topology.kubernetes.io/region"] } } } }`,
  `{ host: api, trafficPolicy: { outlierDetection: { consecutiveGatewayErrors: 5, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 5, minHealthPercent: 0 } } }`,
  `{ host: api, trafficPolicy: { proxyProtocol: { version: V2 } } }`,
].map((spec, index) => document('DestinationRule', spec, index % 2 === 0 ? printed : ''))

const https = '{ number: 443, name: https, protocol: HTTPS }'
const http = '{ number: 80, name: http, protocol: HTTP }'

export const serviceEntries: readonly string[] = [
  `{ hosts: [httpbin.org], location: MESH_EXTERNAL, ports: [${http}], resolution: DNS }`,
  `{ hosts: [edition.cnn.com], ports: [${http}, ${https}], resolution: DNS }`,
  `{ hosts: [api.example.com], ports: [{ number: 443, name: tls, protocol: tls }], resolution: DNS, location: MESH_EXTERNAL, exportTo: ["."] }`,
  `{ hosts: ["*.wikipedia.org"], ports: [${https}], resolution: NONE }`,
  `{ hosts: ["*.googleapis.com"], location: MESH_EXTERNAL, ports: [${https}] }`,
  `{ hosts: [mymongo.local], addresses: [192.168.1.0/24], ports: [{ number: 27018, name: mongodb, protocol: MONGO }], location: MESH_INTERNAL, resolution: STATIC, endpoints: [{ address: 10.0.0.2 }, { address: 10.0.0.3 }] }`,
  `{ hosts: [mysql.example.com], addresses: [240.240.1.1/32], ports: [{ number: 3306, name: mysql, protocol: TCP }], resolution: DNS }`,
  `{ hosts: [httpbin.bar.global], location: MESH_INTERNAL, ports: [{ name: http1, number: 8000, protocol: http }], resolution: DNS, addresses: [240.0.0.2], endpoints: [{ address: cluster2.example.com, ports: { http1: 15443 } }] }`,
  `{ hosts: [vm.internal], ports: [${http}], resolution: STATIC, location: MESH_INTERNAL, workloadSelector: { labels: { app: vm } } }`,
  `{ hosts: [grpc.example.com], ports: [{ number: 443, name: grpc, protocol: GRPC }, { number: 8080, name: h2, protocol: HTTP2 }], resolution: DNS }`,
  `{ hosts: [foo.bar.com], ports: [${http}], resolution: DNS, endpoints: [{ address: us.foo.bar.com, ports: { http: 8080 }, labels: { region: us }, locality: us-east/zone1, weight: 3 }, { address: uk.foo.bar.com }] }`,
  `{ hosts: [redis.example.com], ports: [{ number: 6379, name: redis, protocol: redis }], resolution: DNS_ROUND_ROBIN }`,
  `{ hosts: [unix.local], ports: [${http}], resolution: STATIC, endpoints: [{ address: "unix:///var/run/x.sock" }] }`,
  `{ hosts: [legacy.example.com], ports: [{ number: 8080, protocol: HTTP, name: http, targetPort: 80 }], resolution: STATIC, endpoints: [{ address: 10.1.1.1, network: n1 }] }`,
  `{ hosts: [a.example.com, b.example.com], location: MESH_EXTERNAL, ports: [{ number: 5432, name: postgres, protocol: TCP }, { number: 9200, name: es, protocol: HTTP }], resolution: DNS }`,
  `{ hosts: [s3.amazonaws.com], exportTo: ["*"], ports: [${https}], resolution: DYNAMIC_DNS }`,
  `{ hosts: [plain.example.com], ports: [{ number: 80, name: http }], resolution: STATIC, endpoints: [{ address: 2001:db8::1 }] }`,
  `{ hosts: [kafka.shop.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{ number: 9092, name: kafka, protocol: TCP }], endpoints: [{ address: 10.2.0.1, labels: { version: v1 } }] }`,
].map((spec, index) => document('ServiceEntry', spec, index % 2 === 0 ? printed : ', namespace: istio-system'))

/** They need what this version has not. Each is refused by name. */
export const beyond: readonly string[] = [
  document('DestinationRule', '{ host: "*.local", trafficPolicy: { tls: { mode: MUTUAL, credentialName: client } } }'),
  document(
    'ServiceEntry',
    `{ hosts: [san.example.com], ports: [${https}], resolution: DNS, subjectAltNames: [spiffe://a] }`,
  ),
]
