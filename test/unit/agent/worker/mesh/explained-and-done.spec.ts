/** What `explain` says of 500 generated requests is what becomes of them. */
import { expect } from 'chai'

import type { ExplainAnswer, ExplainRequest } from '../../../../../contracts/control-link.ts'
import type { HttpMatchSpec, HttpRouteSpec } from '../../../../../contracts/route-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'
import { keyOf, snapshotOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'

const random = seededRandom(20_261_129)
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
const maybe = (share: number): boolean => random() < share

const words = ['a', 'ab', 'b', '张三', '', 'A']
const paths = [
  '/',
  '/a',
  '/a/b',
  '/b?x=1',
  '/b?x=a%20b&x=2',
  '/c?y',
  '/a%2fb',
  '//a',
  '/a#b',
  '/ä',
  '*',
  'a',
  'http://orders/a',
  '/b?x=+',
]
const hosts = [
  'orders',
  'ORDERS',
  'orders:80',
  'orders:8080',
  'billing',
  'billing:443',
  'nobody',
  'unheard',
  '',
  'a b',
  'orders,billing',
  '[::1',
]
const methods = ['GET', 'POST', 'OPTIONS', 'PUT', 'MOVE', 'TRACE', 'G ET']

function match(): HttpMatchSpec {
  const condition = () =>
    pick([
      { exact: pick(words) },
      { prefix: pick(words) },
      { regex: pick(['.*', 'a.*', '[张李].', 'a,b']) },
      { present: true },
    ] as const)
  return {
    ...(maybe(0.4) ? { uri: pick([{ prefix: '/a' }, { exact: '/b' }, { regex: '/.?' }]) } : {}),
    ...(maybe(0.3) ? { method: { exact: pick(['GET', 'POST']) } } : {}),
    ...(maybe(0.5) ? { headers: { h: condition() } } : {}),
    ...(maybe(0.3) ? { withoutHeaders: { w: condition() } } : {}),
    ...(maybe(0.2) ? { queryParams: { x: pick([{ exact: '1' }, { exact: 'a%20b' }, { present: true }]) } } : {}),
    ...(maybe(0.2) ? { port: pick([80, 8080]) } : {}),
  }
}

/** Routes that tell their names. */
function routes(host: string): HttpRouteSpec[] {
  const named = (name: string, matches: HttpMatchSpec[]): HttpRouteSpec => ({
    name,
    origin: { kind: 'default', name: '', path: '' },
    matches,
    action: { kind: 'direct', status: 299, body: name, contentType: 'text/plain' },
    timeoutMs: 0,
  })
  return Array.from({ length: 6 }, (_, nth) => named(`${host}-${nth}`, [match(), match()]))
}

function asked(): ExplainRequest {
  const value = () => pick(words)
  const headers: [string, string][] = []
  for (const name of ['h', 'H', 'w', 'x-a']) if (maybe(0.4)) headers.push([name, value()])
  if (maybe(0.15))
    headers.push([pick(['x-mesh-service', 'X-Mesh-Service']), pick(['orders', 'billing', 'nobody', '', 'a b'])])
  if (maybe(0.05))
    headers.push(
      pick([
        ['bad name', '1'],
        ['expect', 'x'],
        ['host', 'orders'],
        ['transfer-encoding', 'gzip'],
        ['max-forwards', '0'],
      ]),
    )
  return {
    listener: undefined,
    method: pick(methods),
    path: pick(paths),
    host: pick(hosts),
    headers,
    sourceApp: undefined,
  }
}

describe('explain and the data path', function () {
  this.timeout(120_000)

  it('agree on 500 generated requests', async () => {
    const services = ['orders', 'billing'].map((name) => ({ name, endpoints: [] }))
    const snapshot = snapshotOf({ services, listen: {} })
    const started = await startWorker({ services, limits: { parkTimeoutMs: 20 } })
    const virtualHosts = Object.fromEntries(
      services.map(({ name }) => [keyOf(name), { ...snapshot.virtualHosts[keyOf(name)]!, http: routes(name) }]),
    )
    await started.change({ virtualHosts, names: { nobody: null } })
    const counts: Record<string, number> = {}
    try {
      for (let nth = 0; nth < 500; nth++) {
        const request = asked()
        const explained = verdictOf(started.worker.answer({ kind: 'explain', request }) as ExplainAnswer)
        const done = await outcomeOf(started.port('shared'), request)
        expect(explained, JSON.stringify(request)).to.equal(done)
        const kind = /^\d+$/.test(done) ? done : 'a route'
        counts[kind] = (counts[kind] ?? 0) + 1
      }
    } finally {
      started.stop()
    }
    // each kind of end was met
    expect(counts).to.include.keys('a route', '400', '404', '503', '501', '417')
  })
})

/** The route's name, or the status. */
function verdictOf({ outcome, steps }: ExplainAnswer): string {
  const decided = steps.find(({ matched }) => matched)
  if (decided !== undefined) return decided.rule
  if (/E_ROUTE_UNKNOWN_SERVICE|has not asked/.test(outcome)) return '503'
  return /\b([2345]\d\d)\b/.exec(outcome)?.[1] ?? outcome
}

async function outcomeOf(port: number, { headers, host, method, path }: ExplainRequest): Promise<string> {
  const caller = await RawCaller.open(port)
  const fields = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const line = host === '' ? 'HTTP/1.0\r\n' : `HTTP/1.1\r\nHost: ${host}\r\n`
  caller.send(Buffer.from(`${method} ${path} ${line}${fields}\r\n`, 'utf8'))
  await caller.expect(/\r\n\r\n/)
  const status = caller.text.slice(9, 12)
  if (status === '299') await caller.expect(/\r\n\r\n\w+-\d$/)
  caller.close()
  return status === '299' ? caller.text.slice(caller.text.indexOf('\r\n\r\n') + 4) : status
}
