import { once } from 'node:events'
import { connect } from 'node:net'
import { expect } from 'chai'
import type {
  EmbeddedRegistry,
  EmbeddedRegistryOptions,
} from '../../../../../../registry-adapters/nacos/embedded/embedded.ts'
import { closing } from '../../../../../support/closing.ts'
import { eventually } from '../../../../../support/registry-listener.ts'
import { startEmbeddedRegistry } from '../../../../../../registry-adapters/nacos/embedded/embedded.ts'

describe('HTTP interface of the Nacos-compatible server', () => {
  let registry: EmbeddedRegistry
  const start = async (options: EmbeddedRegistryOptions = {}): Promise<void> => {
    registry = await startEmbeddedRegistry(options)
  }
  afterEach(() => registry.close())

  async function call(line: string, init: RequestInit = {}): Promise<string> {
    const [method = '', path = ''] = line.split(' ')
    const answer = await fetch(`http://${registry.address}/nacos${path}`, { method, ...init })
    return `${answer.status} ${await answer.text()}`
  }

  it('registers, shows, changes and removes an instance by v1', async () => {
    await start()
    const at = 'serviceName=orders&ip=10.0.0.1&port=80'
    expect(await call(`POST /v1/ns/instance?${at}&weight=2`)).to.equal('200 ok')
    expect(await call(`GET /v1/ns/instance?${at}`)).to.match(/^200 .*"weight":2,"healthy":true/)
    expect(await call(`PUT /v1/ns/instance?${at}&weight=5`)).to.equal('200 ok')
    expect(await call(`GET /v1/ns/instance/list?serviceName=orders`)).to.match(/"weight":5.*"ephemeral":true/)
    expect(await call(`PUT /v1/ns/instance/beat?${at}`)).to.include('"code":10200')
    expect(await call(`GET /v1/ns/service/list?pageNo=1&pageSize=10`)).to.equal('200 {"count":1,"doms":["orders"]}')
    expect(await call(`DELETE /v1/ns/instance?${at}`)).to.equal('200 ok')
    expect(await call(`GET /v1/ns/instance?${at}`)).to.equal('404 no matched ip found!')
  })

  it('takes form fields from the body as from the query', async () => {
    await start()
    const body = new URLSearchParams({ serviceName: 'orders', ip: '10.0.0.1', port: '80' })
    expect(await call('POST /v1/ns/instance', { body })).to.equal('200 ok')
    expect(await call('GET /v1/ns/instance/list?serviceName=orders')).to.include('"ip":"10.0.0.1"')
  })

  it('registers an unknown instance by its full heartbeat, and asks the short one to register', async () => {
    await start()
    const beat = encodeURIComponent(JSON.stringify({ ip: '10.0.0.1', port: 80, cluster: 'DEFAULT', weight: 1 }))
    expect(await call('PUT /v1/ns/instance/beat?serviceName=orders&ip=10.0.0.1&port=80')).to.include('"code":20404')
    expect(await call(`PUT /v1/ns/instance/beat?serviceName=orders&beat=${beat}`)).to.include('"code":10200')
    expect(await call('GET /v1/ns/instance/list?serviceName=orders')).to.include('"ip":"10.0.0.1"')
  })

  it('wraps the answers of v2', async () => {
    await start()
    const at = 'serviceName=orders&ip=10.0.0.1&port=80'
    expect(await call(`POST /v2/ns/instance?${at}`)).to.equal('200 {"code":0,"message":"success","data":"ok"}')
    expect(await call('GET /v2/ns/instance/list?serviceName=orders')).to.match(/^200 {"code":0,.*"ip":"10.0.0.1"/)
    expect(await call(`POST /v2/ns/instance?${at}9999`)).to.match(/^400 {"code":20002,/)
    expect(await call('GET /v2/ns/service?serviceName=none')).to.match(/^400 {"code":21008,/)
  })

  it('speaks the client interface of v3: register, heartbeat, list, configuration', async () => {
    await start()
    const at = 'serviceName=orders&ip=10.0.0.1&port=80'
    expect(await call(`POST /v3/client/ns/instance?${at}&heartBeat=true`)).to.match(/^200 {"code":21003,/)
    expect(await call(`POST /v3/client/ns/instance?${at}`)).to.match(/^200 {"code":0,/)
    expect(await call(`POST /v3/client/ns/instance?${at}&heartBeat=true`)).to.match(/^200 {"code":0,/)
    expect(await call('GET /v3/client/ns/instance/list?serviceName=orders')).to.match(/"data":\[{"instanceId"/)
    expect(await call(`DELETE /v3/client/ns/instance?${at}`)).to.match(/^200 {"code":0,/)
    expect(await call('GET /v3/client/ns/instance/list?serviceName=orders')).to.include('"data":[]')
    expect(await call('GET /v3/client/cs/config?dataId=a&groupName=g')).to.match(/^404 {"code":20004,/)
    await call('POST /v2/cs/config?dataId=a&group=g&content=x')
    expect(await call('GET /v3/client/cs/config?dataId=a&groupName=g')).to.match(/"content":"x"/)
  })

  it('publishes, reads, lists and removes configuration, and refuses a stale compare-and-set', async () => {
    await start()
    const at = 'dataId=a&group=g'
    expect(await call(`GET /v1/cs/configs?${at}`)).to.equal('404 config data not exist')
    expect(await call(`POST /v1/cs/configs?${at}&content=x`)).to.equal('200 true')
    expect(await call(`GET /v1/cs/configs?${at}`)).to.equal('200 x')
    expect(await call(`POST /v1/cs/configs?${at}&content=y`, { headers: { casMd5: '00' } })).to.equal('200 false')
    expect(await call(`POST /v2/cs/config?${at}&content=y`, { headers: { casMd5: '00' } })).to.match(
      /^409 {"code":20005,/,
    )
    expect(await call('GET /v1/cs/configs?search=accurate&dataId=&group=&pageNo=1&pageSize=10')).to.include(
      '"totalCount":1',
    )
    expect(await call('GET /v1/cs/configs?search=blur&dataId=*a*&group=&pageNo=1&pageSize=10')).to.include(
      '"totalCount":1',
    )
    expect(await call(`DELETE /v1/cs/configs?${at}`)).to.equal('200 true')
    expect(await call(`GET /v2/cs/config?${at}`)).to.match(/^404 {"code":20004,/)
  })

  it('answers probes and questions about itself without credentials', async () => {
    await start({ users: [{ username: 'app', password: 'right' }] })
    expect(await call('GET /v1/ns/operator/metrics')).to.equal('200 {"status":"UP"}')
    expect(await call('GET /v1/console/health/readiness')).to.equal('200 OK')
    expect(await call('GET /v3/admin/core/state/readiness')).to.match(/^200 {"code":0/)
    expect(await call('GET /v1/console/server/state')).to.include('"auth_enabled":"true"')
  })

  it('asks for credentials where they are needed, and takes a token in each place that clients use', async () => {
    await start({ users: [{ username: 'app', password: 'right' }] })
    const list = 'GET /v1/ns/instance/list?serviceName=orders'
    expect(await call(list)).to.match(/^403 .*"message":"user not found!"/)
    expect(await call('POST /v1/auth/login?username=app&password=wrong')).to.equal('403 user not found!')
    const login = await call('POST /v3/auth/user/login', {
      body: new URLSearchParams({ username: 'app', password: 'right' }),
    })
    const { accessToken } = JSON.parse(login.slice(4)) as { accessToken: string }
    expect(await call(`${list}&accessToken=${accessToken}`)).to.match(/^200/)
    expect(await call(list, { headers: { accessToken } })).to.match(/^200/)
    expect(await call(list, { headers: { Authorization: `Bearer ${accessToken}` } })).to.match(/^200/)
    expect(await call(`${list}&username=app&password=right`)).to.match(/^200/)
    expect(await call(`${list}&accessToken=made-up`)).to.match(/^403 .*"token invalid!"/)
  })

  it('names paths that it does not have', async () => {
    await start()
    expect(await call('GET /v1/nope')).to.match(/^404 .*no such api: GET:\/nacos\/v1\/nope/)
    expect(await call('GET /../etc/passwd')).to.match(/^404/)
    expect(await call('POST /constructor')).to.match(/^404/)
  })

  it('refuses a body above the bound and closes that connection', async () => {
    await start({ limits: { maxMessageBytes: 1000 } })
    const body = new URLSearchParams({ content: 'x'.repeat(2000) })
    expect(await call('POST /v1/cs/configs?dataId=a&group=g', { body })).to.match(/^413 body: more than 1000 bytes/)
    expect(await call('GET /v1/cs/configs?dataId=a&group=g')).to.match(/^404/)
  })

  it('lets the longest idle connection go at the bound, counts that, and keeps one that waits for an answer', async () => {
    const counted: string[] = []
    const metrics = {
      count: (name: string, labels: object) => counted.push(`${name} ${Object.values(labels).join()}`),
      gauge() {},
    }
    await start({ limits: { maxHttpConnections: 1 }, deps: { metrics } })
    const ask = 'GET /nacos/v1/ns/operator/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
    const first = connect(registry.port, '127.0.0.1')
    first.write(ask)
    await once(first, 'data')
    const second = connect(registry.port, '127.0.0.1')
    second.write(ask)
    await closing(first)
    expect(String((await once(second, 'data'))[0])).to.match(/^HTTP\/1.1 200/)
    expect(counted).to.include('nacos_face_refused maxHttpConnections')
    const body = `Listening-Configs=${encodeURIComponent('a\u0002g\u0002\u0001')}`
    second.write(
      'POST /nacos/v1/cs/configs/listener HTTP/1.1\r\nHost: 127.0.0.1\r\nLong-Pulling-Timeout: 10000\r\n' +
        `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    await eventually(() => registry.status().parkedPolls === 1, 'the poll waits')
    const third = connect(registry.port, '127.0.0.1').on('error', () => {})
    await closing(third.resume())
    expect(second.closed).to.equal(false)
    second.destroy()
  })

  it('ends a connection that pipelines: of 1,000 heads that nobody reads answers to, one is answered', async () => {
    const counted: string[] = []
    const metrics = {
      count: (name: string, labels: object) => counted.push(`${name} ${Object.values(labels).join()}`),
      gauge() {},
    }
    await start({ deps: { metrics } })
    const client = connect(registry.port, '127.0.0.1')
    client.write('GET /nacos/v1/ns/operator/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(1000))
    await closing(client.resume())
    await eventually(() => counted.length === 2, 'the one and the refusal')
    expect(counted).to.have.members(['nacos_face_refused pipelined', 'nacos_face_requests http,ok'])
    expect(await call('GET /v1/ns/operator/metrics')).to.match(/^200/)
  })

  it('answers garbage with 400 and goes on', async () => {
    await start()
    const socket = connect(registry.port, '127.0.0.1')
    socket.write('\u0000\u0001 not http\r\n\r\n')
    const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
    expect(String(answer)).to.match(/^HTTP\/1.1 400/)
    socket.destroy()
    expect(await call('GET /v1/ns/operator/metrics')).to.match(/^200/)
  })
})
