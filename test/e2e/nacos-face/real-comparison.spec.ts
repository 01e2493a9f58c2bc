/**
 * The same requests to a real Nacos 2.3.1 and to the embedded registry: answers are the same but for the differences
 * written here.
 */
import { expect } from 'chai'
import type { EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { RawGrpc } from '../../support/nacos-clients/raw-grpc.ts'
import { needsNacos, sharedNacos } from '../../support/nacos/server.ts'
import { eventually } from '../../support/registry-listener.ts'

const namespace = `comparison-${process.pid}`

/** Fields whose values are a matter of time or of the server. */
const volatile = new Set([
  'lastRefTime',
  'lastModified',
  'connectionId',
  'cacheMillis',
  'tokenTtl',
  'accessToken',
  'id',
  'createTime',
  'modifyTime',
])

/** Objects with sorted keys, volatile values by type only, absent and null alike. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) {
    const list = value.map(plain)
    // Names come in no order there.
    return list.every((one) => typeof one === 'string') ? list.sort() : list
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([key, field]) => field !== null && key !== 'requestId')
  return Object.fromEntries(
    entries
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => [key, volatile.has(key) ? typeof field : plain(field)]),
  )
}

function parsed(text: string): unknown {
  try {
    return plain(JSON.parse(text))
  } catch {
    // A line end closes some of the texts there.
    return text.trimEnd()
  }
}

interface HttpCase {
  readonly line: string
  readonly body?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** Waits until both answer it with this; for what a server does a little later. */
  readonly until?: string
  /** They differ, and why that is right. */
  readonly differs?: string
}

const n = `namespaceId=${namespace}`
const t = `tenant=${namespace}`
const at = `${n}&serviceName=orders&ip=10.0.0.1&port=8080`

const httpCases: readonly HttpCase[] = [
  { line: 'GET /v1/ns/operator/metrics' },
  { line: `GET /v1/ns/instance/list?${n}&serviceName=none` },
  { line: `POST /v1/ns/instance?${at}&weight=2&metadata=%7B%22a%22%3A%22b%22%7D` },
  { line: `GET /v1/ns/instance/list?${n}&serviceName=orders`, until: '10.0.0.1' },
  { line: `GET /v1/ns/instance/list?${n}&serviceName=DEFAULT_GROUP@@orders&clusters=DEFAULT&healthyOnly=true` },
  { line: `GET /v1/ns/instance/list?${n}&serviceName=orders&clusters=OTHER` },
  { line: `GET /v1/ns/instance?${at}` },
  { line: `GET /v1/ns/instance?${n}&serviceName=orders&ip=10.0.0.9&port=8080` },
  { line: `PUT /v1/ns/instance/beat?${at}` },
  { line: `PUT /v1/ns/instance/beat?${n}&serviceName=orders&ip=10.0.0.9&port=8080` },
  { line: `PUT /v1/ns/instance?${at}&weight=5&enabled=true` },
  { line: `GET /v1/ns/service/list?${n}&pageNo=1&pageSize=10` },
  { line: `GET /v1/ns/service?${n}&serviceName=orders` },
  { line: `GET /v1/ns/service?${n}&serviceName=none` },
  { line: `POST /v1/ns/service?${n}&serviceName=made&protectThreshold=0.5` },
  { line: `GET /v1/ns/service?${n}&serviceName=made`, until: '"protectThreshold":0.5' },
  { line: `POST /v1/ns/service?${n}&serviceName=made&protectThreshold=0.5` },
  { line: `DELETE /v1/ns/service?${n}&serviceName=made` },
  { line: `DELETE /v1/ns/service?${n}&serviceName=orders` },
  { line: `POST /v1/ns/instance?${n}&serviceName=orders&ip=10.0.0.1&port=99999` },
  { line: `POST /v1/ns/instance?${n}&serviceName=orders&ip=10.0.0.1` },
  { line: `POST /v1/ns/instance?${n}&ip=10.0.0.1&port=1` },
  { line: `POST /v1/ns/instance?${n}&serviceName=orders&ip=10.0.0.1&port=1&weight=-3` },
  { line: `POST /v1/ns/instance?${n}&serviceName=ord%20ers&ip=10.0.0.1&port=1` },
  {
    line: `POST /v1/ns/instance?${at}&ephemeral=false`,
    differs: 'a mistake of the client: 400 here, 500 there, which makes clients try another server',
  },
  { line: `POST /v2/ns/instance?${n}&serviceName=v2s&ip=10.0.0.1&port=8080` },
  {
    line: `GET /v2/ns/instance/list?${n}&serviceName=v2s`,
    until: '10.0.0.1',
    differs: 'instanceId is always there here, only sometimes there',
  },
  { line: `GET /v2/ns/service/list?${n}` },
  {
    line: `GET /v2/ns/service?${n}&serviceName=none`,
    differs: 'v2 errors are JSON with a code here, as documented; this build answers text',
  },
  { line: `PUT /v2/ns/instance?${n}&serviceName=v2s&ip=10.0.0.1&port=8080&weight=4` },
  { line: `DELETE /v2/ns/instance?${n}&serviceName=v2s&ip=10.0.0.1&port=8080` },
  { line: 'GET /v2/ns/operator/metrics' },
  { line: `DELETE /v1/ns/instance?${at}` },
  { line: `DELETE /v1/ns/instance?${at}` },
  { line: `DELETE /v1/ns/instance?${n}&serviceName=none&ip=10.0.0.1&port=8080` },

  { line: `GET /v1/cs/configs?${t}&dataId=a&group=g` },
  {
    line: `POST /v1/cs/configs?${t}&dataId=a&group=g`,
    body: { content: 'x: 1', type: 'yaml' },
    headers: { casMd5: 'what was never there' },
  },
  { line: `GET /v1/cs/configs?${t}&dataId=a&group=g`, until: 'x: 1' },
  {
    line: `POST /v1/cs/configs?${t}&dataId=a&group=g`,
    body: { content: 'x: 2' },
    headers: { casMd5: '00' },
    differs: 'a failed compare-and-set says false here; there it says true and writes nothing',
  },
  { line: `GET /v1/cs/configs?${t}&dataId=a&group=g` },
  { line: `POST /v1/cs/configs?${t}&dataId=a&group=g` },
  { line: `POST /v1/cs/configs?${t}&dataId=a%20b&group=g`, body: { content: 'x' } },
  { line: `POST /v1/cs/configs?${t}&group=g`, body: { content: 'x' } },
  { line: `GET /v2/cs/config?${n}&dataId=a&group=g` },
  { line: `GET /v2/cs/config?${n}&dataId=none&group=g` },
  {
    line: 'POST /v1/cs/configs/listener',
    headers: { 'Long-Pulling-Timeout': '3000' },
    body: { 'Listening-Configs': `a\u0002g\u000200\u0002${namespace}\u0001` },
  },
  { line: 'POST /v1/cs/configs/listener', headers: { 'Long-Pulling-Timeout': '3000' } },
  { line: `DELETE /v1/cs/configs?${t}&dataId=a&group=g` },
  { line: `GET /v1/cs/configs?${t}&dataId=a&group=g`, until: 'not exist' },
  { line: 'POST /v1/auth/login', body: { username: 'nacos', password: 'nacos' } },
  { line: 'POST /v1/auth/login' },
]

describe('the embedded registry beside a real Nacos 2.3.1', function () {
  this.timeout(120_000)
  let embedded: EmbeddedRegistry | undefined
  let addresses: { port: number; grpcPort: number }[] = []

  before(async function () {
    await needsNacos(this)
    const real = await sharedNacos('2.3.1')
    embedded = await startEmbeddedRegistry()
    addresses = [real, embedded]
  })
  after(async () => {
    await embedded?.close()
  })

  async function http(port: number, { line, body, headers }: HttpCase): Promise<unknown> {
    const [method = '', path = ''] = line.split(' ')
    const answer = await fetch(`http://127.0.0.1:${port}/nacos${path}`, {
      method,
      headers: headers ?? {},
      body: body === undefined ? null : new URLSearchParams(body),
    })
    return { status: answer.status, body: parsed(await answer.text()) }
  }

  for (const one of httpCases)
    it(`HTTP ${one.line.replaceAll(namespace, 'N')}${one.body?.['content'] === undefined ? '' : ` ${one.body['content']}`}: ${one.differs ?? 'same answer'}`, async () => {
      const [real, ours] = await Promise.all(
        addresses.map(async ({ port }) => {
          const { until } = one
          let answer: unknown
          await eventually(async () => {
            answer = await http(port, one)
            return until === undefined || JSON.stringify(answer).includes(until)
          }, `${one.line}: ${until}`)
          return answer
        }),
      )
      if (one.differs === undefined) expect(ours).to.deep.equal(real)
      else expect(ours).not.to.deep.equal(real)
    })

  it('gRPC: same answers and pushes, step by step', async () => {
    const clients = addresses.map(({ grpcPort }) => new RawGrpc(`127.0.0.1:${grpcPort}`))
    const both = async (act: (client: RawGrpc) => Promise<unknown>): Promise<unknown[]> =>
      (await Promise.all(clients.map(act))).map(plain)
    const asked = async (type: string, body: object): Promise<void> => {
      const [real, ours] = await both((client) => client.request(type, body))
      expect(ours, `${type} ${JSON.stringify(body)}`).to.deep.equal(real)
    }
    const pushed = async (type: string): Promise<void> => {
      const [real, ours] = await both((client) => client.push(type))
      expect(ours, type).to.deep.equal(real)
    }
    try {
      const service = { namespace, serviceName: 'rpc', groupName: 'DEFAULT_GROUP' }
      const instance = {
        ip: '10.0.0.1',
        port: 80,
        weight: 1,
        healthy: true,
        enabled: true,
        ephemeral: true,
        clusterName: 'DEFAULT',
        metadata: { a: 'b' },
      }
      await asked('ServerCheckRequest', {})
      await asked('InstanceRequest', service)
      await Promise.all(clients.map((client) => client.setUp()))
      await pushed('SetupAckRequest')
      await asked('HealthCheckRequest', {})
      await asked('SubscribeServiceRequest', { ...service, subscribe: true, clusters: '' })
      await asked('InstanceRequest', { ...service, type: 'registerInstance', instance })
      await pushed('NotifySubscriberRequest')
      await asked('ServiceQueryRequest', { ...service, cluster: '', healthyOnly: false, udpPort: 0 })
      await asked('ServiceQueryRequest', { ...service, serviceName: 'none', cluster: '', healthyOnly: false })
      await asked('ServiceListRequest', { ...service, serviceName: '', pageNo: 1, pageSize: 100, selector: '' })
      const instances = [instance, { ...instance, port: 81 }]
      await asked('BatchInstanceRequest', { ...service, type: 'batchRegisterInstance', instances })
      await asked('InstanceRequest', { ...service, type: 'deregisterInstance', instance })
      await asked('SubscribeServiceRequest', { ...service, serviceName: 'none', subscribe: false, clusters: '' })
      const persistent = { ...service, serviceName: 'db', instance: { ...instance, ephemeral: false } }
      await asked('PersistentInstanceRequest', { ...persistent, type: 'registerInstance' })
      await asked('PersistentInstanceRequest', { ...persistent, type: 'deregisterInstance' })
      await asked('FooRequest', {})

      const config = { dataId: 'rpc', group: 'g', tenant: namespace }
      await asked('ConfigQueryRequest', config)
      await asked('ConfigBatchListenRequest', { listen: true, configListenContexts: [{ ...config, md5: '' }] })
      await asked('ConfigPublishRequest', { ...config, content: 'x: 1', casMd5: '', additionMap: { type: 'yaml' } })
      await pushed('ConfigChangeNotifyRequest')
      await asked('ConfigQueryRequest', config)
      await asked('ConfigBatchListenRequest', { listen: true, configListenContexts: [{ ...config, md5: '00' }] })
      await asked('ConfigRemoveRequest', config)
      await pushed('ConfigChangeNotifyRequest')
    } finally {
      for (const client of clients) client.close()
    }
  })
})
