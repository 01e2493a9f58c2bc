/**
 * Every setting of `agent.yaml` and of `services.d` has an effect: another value makes another configuration. Settings
 * are found in the schemas, so a new one is tested by being there.
 */
import { expect } from 'chai'
import { resolveApplication, resolveConfig } from '../../../../../agent/control/config/resolve.ts'
import { agentFileSchema, applicationFileSchema } from '../../../../../agent/control/config/schema.ts'
import { acceptedValues, fieldsOf, isBranch, valueAt, withValue } from '../../../../support/schema-walk.ts'

const pool: readonly unknown[] = [
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
  ],
  [0, 1, 2, 3, 10, 11, 20, 32, 100, 101, 1000, 1001, 8081, 8082, 0.25, 0.75, true, false],
  [
    { prod: { namespace: 'a', group: 'b' } },
    { prod: 'public/A' },
    { prod: 'public/B' },
    { a: 'b' },
    { c: 'd' },
    [],
    ['10.0.0.0/8'],
  ],
].flat()

const bases: readonly object[] = [
  {},
  { role: 'center', relay: { allowedNetworks: ['10.0.0.0/8'] }, api: {} },
  { registries: [{ name: 'main', type: 'nacos', servers: ['10.0.0.2:8848'] }] },
  { registries: [{ name: 'main', type: 'file', directory: '/tmp/z' }] },
  { outbound: { services: [{ service: 'orders' }] } },
  {
    tracing: { collector: { url: 'http://127.0.0.1:1' } },
    accessLog: { collector: { url: 'http://127.0.0.1:1' } },
  },
]

const machine = { hostName: 'here', defaultAddress: '10.9.9.9', processors: 3 }

function resolved(value: unknown): string | undefined {
  const parsed = agentFileSchema.safeParse(value)
  return parsed.success ? JSON.stringify(resolveConfig('/etc/hostmesh/agent.yaml', parsed.data, machine)) : undefined
}

function application(value: unknown): string | undefined {
  const parsed = applicationFileSchema.safeParse(value)
  if (!parsed.success) return undefined
  return JSON.stringify(resolveApplication('a.yaml', parsed.data, { namespace: 'public', group: 'G' }))
}

function withoutEffect(
  schema: typeof agentFileSchema | typeof applicationFileSchema,
  documents: readonly object[],
  read: (value: unknown) => string | undefined,
): { failures: string[]; walked: number } {
  const failures: string[] = []
  let walked = 0
  for (const { path, schema: field } of fieldsOf(schema, () => 'x')) {
    if (isBranch(field)) continue
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

describe('every setting', () => {
  it('of agent.yaml changes the configuration', () => {
    const { failures, walked } = withoutEffect(agentFileSchema, bases, resolved)
    expect(failures, failures.join('\n')).to.deep.equal([])
    expect(walked).to.be.above(60)
  })

  it('of a file in services.d changes the application', () => {
    const { failures, walked } = withoutEffect(applicationFileSchema, [{ service: 'orders', port: 80 }], application)
    expect(failures, failures.join('\n')).to.deep.equal([])
    expect(walked).to.be.above(15)
  })
})
