/**
 * Every setting of `agent.yaml` and of `services.d` has an effect: another value makes another configuration. Settings
 * are found in the schemas, so a new one is tested by being there.
 */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { expect } from 'chai'
import { parse } from 'yaml'
import type * as z from 'zod'
import { agentKind } from '../../../../../agent/control/config/agent-kind.ts'
import { resolveApplication, resolveConfig } from '../../../../../agent/control/config/resolve.ts'
import { liveConfig, restartNeeded } from '../../../../../agent/control/config/restart-needed.ts'
import type { AgentConfig } from '../../../../../agent/control/config/types.ts'
import { agentFileSchema, applicationFileSchema } from '../../../../../agent/control/config/schema.ts'
import { centerKind } from '../../../../../global-mesh-center/config/center-kind.ts'
import { centerFileSchema } from '../../../../../global-mesh-center/config/schema.ts'
import { acceptedValues, fieldsOf, isBranch, valueAt, withValue } from '../../../../support/schema-walk.ts'

const pool: readonly unknown[] = [
  ['4d53', '4d54', { 4: 404 }, { 4: 403 }, [3], [4]],
  [
    'alpha',
    'beta',
    '10.0.0.1',
    '10.0.0.2',
    '127.0.0.2',
    '127.0.0.3',
    '10.0.0.0/8',
    '11.0.0.0/8',
    '10.0.0.1:81',
    '10.0.0.2:82',
    'off',
  ],
  [
    '127.0.0.1:81',
    '127.0.0.1:82',
    'http://127.0.0.1:4318',
    'https://collector.example',
    '/tmp/a',
    '/tmp/b',
    'orders',
    'ledger',
    '20000-20010',
    '20020-20030',
    '1s',
    '2s',
    '5s',
    '1m',
    '10ms',
    '1d',
    '2d',
  ],
  [
    '1KiB',
    '2KiB',
    '64KiB',
    '128KiB',
    '64MiB',
    '128MiB',
    'http',
    'tcp',
    'auto',
    'cluster.local',
    'corp.example',
    '/health',
    '/ready',
    'root',
    '0640',
    '0600',
  ],
  [0, 1, 2, 3, 10, 11, 20, 32, 100, 101, 403, 503, 1000, 1001, 8081, 8082, 0.25, 0.75, true, false],
  [
    { prod: { namespace: 'a', group: 'b' } },
    { prod: 'public/A' },
    { prod: 'public/B' },
    { a: 'b' },
    { type: 'files', directory: '/tmp/a' },
    { c: 'd' },
    [],
    ['10.0.0.0/8'],
  ],
].flat()

const readsContent = { includeRequestBodyInCheck: { maxRequestBytes: 9 } }

const bases: readonly object[] = [
  {},
  { registries: [{ name: 'main', type: 'nacos', servers: ['10.0.0.2:8848'] }] },
  { registries: [{ name: 'main', type: 'file', directory: '/tmp/z' }] },
  { registries: [{ name: 'main', type: 'center', servers: ['10.0.0.8:15010'] }] },
  { registries: [{ name: 'main', type: 'xds', servers: ['10.0.0.8:18000'] }] },
  { outbound: { services: [{ service: 'orders' }] } },
  { tls: { identities: [{ certificate: '/tmp/z', key: '/tmp/z', trustBundle: '/tmp/z' }] } },
  { outbound: { rpc: [{ protocol: 'bolt', address: '127.0.0.1:12200' }] } },
  { outbound: { sockets: [{ path: 'out.sock' }] } },
  { center: { reports: { servers: ['10.0.0.8:15012'] } } },
  { gateway: { labels: { z: 'z' }, ports: [9] } },
  { filters: [{ name: 'z', path: '/tmp/z' }] },
  { filters: [{ name: 'z', builtin: 'compression' }] },
  { rules: { extensionProviders: [{ name: 'z', envoyExtAuthzGrpc: { service: 'z', port: 80, ...readsContent } }] } },
  { rules: { extensionProviders: [{ name: 'z', envoyExtAuthzHttp: { service: 'z', port: 80, ...readsContent } }] } },
  { rules: { extensionProviders: [{ name: 'z', envoyRateLimitGrpc: { service: 'z', port: 80 } }] } },
  parse(readFileSync('examples/rpc/mainstay.yaml', 'utf8')) as object,
  {
    tracing: { collector: { url: 'http://127.0.0.1:1' } },
    accessLog: { collector: { url: 'http://127.0.0.1:1' } },
  },
]

const machine = { hostName: 'here', defaultAddress: '10.9.9.9', processors: 3 }

function resolved(value: unknown): string | undefined {
  const parsed = agentFileSchema.safeParse(value)
  return parsed.success
    ? JSON.stringify(resolveConfig(agentKind, '/etc/hostmesh/agent.yaml', parsed.data, machine))
    : undefined
}

function resolvedCenter(value: unknown): string | undefined {
  const parsed = centerFileSchema.safeParse(value)
  return parsed.success
    ? JSON.stringify(resolveConfig(centerKind, '/etc/hostmesh/center.yaml', parsed.data, machine))
    : undefined
}

function application(value: unknown): string | undefined {
  const parsed = applicationFileSchema.safeParse(value)
  if (!parsed.success) return undefined
  return JSON.stringify(resolveApplication('a.yaml', parsed.data, { namespace: 'public', group: 'G' }))
}

function withoutEffect(
  schema: z.ZodType,
  documents: readonly object[],
  read: (value: unknown) => string | undefined,
): { failures: string[]; walked: number } {
  const failures: string[] = []
  let walked = 0
  for (const { path, schema: field } of fieldsOf(schema, () => 'x')) {
    // `role` says which of the schemas reads the file
    if (isBranch(field) || path.join('.') === 'role') continue
    walked++
    const values = acceptedValues(field, pool)
    const hasEffect = documents.some((base) => {
      const results = [valueAt(base, path), ...values].map((value) => read(withValue(base, path, value)))
      return new Set(results.filter((one) => one !== undefined)).size > 1
    })
    if (!hasEffect) failures.push(`${path.join('.')}: no effect, with ${values.length} values tried`)
  }
  return { failures, walked }
}

describe('every setting', function () {
  // some hundred configurations are read
  this.timeout(120_000)

  it('of agent.yaml changes the configuration', () => {
    const { failures, walked } = withoutEffect(agentFileSchema, bases, resolved)
    expect(failures, failures.join('\n')).to.deep.equal([])
    expect(walked).to.be.above(60)
  })

  it('that is changed is taken up at a reload, or told as waiting for a restart', () => {
    const silent: string[] = []
    const read = (value: unknown): AgentConfig | undefined => {
      const parsed = agentFileSchema.safeParse(value)
      return parsed.success ? resolveConfig(agentKind, '/etc/hostmesh/agent.yaml', parsed.data, machine) : undefined
    }
    for (const { path, schema: field } of fieldsOf(agentFileSchema, () => 'x')) {
      if (isBranch(field) || path.join('.') === 'role') continue
      for (const base of bases) {
        const running = read(base)!
        for (const value of acceptedValues(field, pool)) {
          const wanted = read(withValue(base, path, value))
          if (wanted === undefined || restartNeeded(running, wanted).length > 0) continue
          if (!isDeepStrictEqual(liveConfig(running, wanted), wanted)) silent.push(path.join('.'))
        }
      }
    }
    expect([...new Set(silent)]).to.deep.equal([])
  })

  it('of center.yaml changes the configuration', () => {
    const base = { role: 'center', relay: { allowedNetworks: ['10.0.0.0/8'] }, api: {} }
    const own = [
      {
        store: { type: 'files' },
        rulesApi: { tls: { cert: '/a', key: '/b' } },
        xds: { tls: { cert: '/a', key: '/b' } },
      },
      { rateLimits: { domains: [{ domain: 'a' }] } },
      { store: { type: 'etcd', servers: ['10.0.0.2:2379'] } },
      { ca: { intermediate: { certificate: '/tmp/z', key: '/tmp/z', roots: '/tmp/z' } } },
    ]
    const documents = [...bases, ...own].map((one) => ({ ...one, ...base }))
    const { failures, walked } = withoutEffect(centerFileSchema, documents, resolvedCenter)
    expect(failures, failures.join('\n')).to.deep.equal([])
    expect(walked).to.be.above(60)
  })

  it('of a file in services.d changes the application', () => {
    const { failures, walked } = withoutEffect(applicationFileSchema, [{ service: 'orders', port: 80 }], application)
    expect(failures, failures.join('\n')).to.deep.equal([])
    expect(walked).to.be.above(15)
  })
})
