/**
 * The face as two users of one host meet it: over its real sockets, with the kernel's word about the caller played by
 * the test.
 */
import { connect } from 'node:net'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { expect } from 'chai'
import {
  createNacosFace,
  type NacosFace,
  type NacosFaceConfig,
} from '../../../../../registry-adapters/nacos/face/index.ts'
import { closing } from '../../../../support/closing.ts'
import { FakeMesh } from '../../../../support/nacos-clients/fake-mesh.ts'
import { RawGrpc } from '../../../../support/nacos-clients/raw-grpc.ts'

const [alice, bob] = [1001, 1002]

describe('the face between users of one host', () => {
  let mesh: FakeMesh
  let face: NacosFace
  let port: number
  let grpcPort: number

  async function start(more: Partial<NacosFaceConfig> = {}): Promise<void> {
    mesh = new FakeMesh()
    mesh.trusted.clear()
    mesh.trusted.add(0)
    face = createNacosFace({ host: '127.0.0.1', port: 0, ...more }, mesh)
    await face.start()
    ;({ port, grpcPort } = face.status()!)
  }
  beforeEach(() => start())
  afterEach(() => face.close())

  /** Each call on a connection of its own, by this user. */
  async function by(uid: number | undefined, line: string, init: RequestInit = {}): Promise<string> {
    mesh.caller = uid ?? -1
    const [method = '', path = ''] = line.split(' ')
    const headers = { connection: 'close', ...(init.headers as Record<string, string>) }
    const answer = await fetch(`http://127.0.0.1:${port}/nacos${path}`, { method, ...init, headers })
    return `${answer.status} ${await answer.text()}`
  }

  const orders = 'serviceName=orders&ip=127.0.0.1&port=8080'

  it('keeps a registration to the user that made it: beat, change, removal, a second instance', async () => {
    expect(await by(alice, `POST /v1/ns/instance?${orders}`)).to.equal('200 ok')
    const attacks = [
      `DELETE /v1/ns/instance?${orders}`,
      `DELETE /v2/ns/instance?${orders}`,
      `DELETE /v3/client/ns/instance?${orders}`,
      `PUT /v1/ns/instance?${orders}&enabled=false`,
      `PATCH /v1/ns/instance?${orders}&weight=0`,
      `PUT /v1/ns/instance/beat?${orders}`,
      `POST /v3/client/ns/instance?${orders}&heartBeat=true`,
      `POST /v1/ns/instance?${orders}`,
      `POST /v1/ns/instance?${orders.replace('8080', '9090')}`,
      `POST /v2/ns/instance?${orders.replace('8080', '9090')}&ephemeral=false`,
      `PUT /v1/ns/instance/beat?serviceName=orders&beat=${encodeURIComponent('{"ip":"127.0.0.1","port":9091}')}`,
    ]
    for (const attack of attacks) expect(await by(bob, attack), attack).to.match(/^403 /)
    expect([...mesh.applications.values()]).to.have.length(1)
    expect([...mesh.applications.values()][0]).to.deep.include({ owner: alice, enabled: true, weight: 1, port: 8080 })
    expect(mesh.counted.get('nacos_face_denied registration')).to.equal(attacks.length)
    expect(await by(alice, `PUT /v1/ns/instance/beat?${orders}`)).to.match(/"code":10200/)
    expect(await by(alice, `DELETE /v1/ns/instance?${orders}`)).to.equal('200 ok')
    expect(mesh.applications.size).to.equal(0)
  })

  it('gives nobody another spelling of a name that somebody has: hosts have no case', async () => {
    expect(await by(alice, `POST /v1/ns/instance?${orders.replace('orders', 'OrderService')}`)).to.equal('200 ok')
    for (const spelling of ['orderservice', 'ORDERSERVICE', 'ORDERSERVICE&groupName=default_group'])
      expect(await by(bob, `POST /v1/ns/instance?${orders.replace('orders', spelling)}`), spelling).to.match(
        /^403 .*belongs to another user/,
      )
    expect(await by(alice, `POST /v1/ns/instance?${orders.replace('orders', 'orderservice')}`)).to.equal('200 ok')
    expect([...mesh.applications.values()].map(({ owner }) => owner)).to.deep.equal([alice, alice])
  })

  it('does the same over gRPC, where a connection is a user', async () => {
    mesh.caller = alice
    const first = new RawGrpc(`127.0.0.1:${grpcPort}`)
    await first.setUp()
    mesh.caller = bob
    const second = new RawGrpc(`127.0.0.1:${grpcPort}`)
    await second.setUp()
    const instance = { ip: '127.0.0.1', port: 8080, ephemeral: true }
    const body = { namespace: '', serviceName: 'orders', groupName: 'DEFAULT_GROUP', instance }
    const register = { ...body, type: 'registerInstance' }
    try {
      expect((await first.request('InstanceRequest', register)).body).to.include({ resultCode: 200 })
      for (const attack of [
        register,
        { ...body, type: 'deregisterInstance' },
        { ...register, instance: { ...instance, port: 9090 } },
      ])
        expect((await second.request('InstanceRequest', attack)).body).to.include({ resultCode: 500, errorCode: 403 })
      expect(
        (
          await second.request('BatchInstanceRequest', {
            ...body,
            type: 'batchRegisterInstance',
            instances: [instance],
          })
        ).body,
      ).to.include({ errorCode: 403 })
      expect(
        (await second.request('PersistentInstanceRequest', { ...body, type: 'deregisterInstance' })).body,
      ).to.include({
        errorCode: 403,
      })
      const document = { tenant: '', group: 'g', dataId: 'orders.yaml' }
      for (const [type, more] of [
        ['ConfigQueryRequest', {}],
        ['ConfigPublishRequest', { content: 'a: 1' }],
        ['ConfigRemoveRequest', {}],
      ] as const)
        expect((await second.request(type, { ...document, ...more })).body, type).to.include({ errorCode: 403 })
      const listens = { listen: true, configListenContexts: [{ ...document, md5: 'x' }] }
      expect(
        (await second.request('ConfigBatchListenRequest', listens)).body,
        'neither told nor told why',
      ).to.deep.include({
        resultCode: 200,
        changedConfigs: [],
      })
      expect(mesh.config.watched).to.deep.equal([])
      expect([...mesh.applications.keys()]).to.have.length(1)
    } finally {
      first.close()
      second.close()
    }
  })

  it('keeps documents to whom they are granted, and never gives rules', async () => {
    await mesh.config.publish('g', 'orders.yaml', 'secret: 1', undefined)
    await mesh.config.publish('rules', 'hostmesh.mesh', 'rules', undefined)
    mesh.grants.push({
      to: { uid: alice },
      documents: ['g/orders*'],
      writes: true,
      services: [],
      maxWeight: 1,
      ports: [],
    })
    const at = 'dataId=orders.yaml&group=g'
    expect(await by(alice, `GET /v1/cs/configs?${at}`)).to.equal('200 secret: 1')
    for (const attack of [
      `GET /v1/cs/configs?${at}`,
      `GET /v1/cs/configs?${at}&show=all`,
      `GET /v2/cs/config?${at}`,
      `GET /v3/client/cs/config?dataId=orders.yaml&groupName=g`,
      `POST /v1/cs/configs?${at}&content=mine`,
      `POST /v2/cs/config?${at}&content=mine`,
      `DELETE /v1/cs/configs?${at}`,
      `DELETE /v2/cs/config?${at}`,
    ])
      for (const uid of [bob, undefined]) expect(await by(uid, attack), attack).to.match(/^403 /)
    mesh.access = { reads: 'any', writes: 'granted' }
    for (const uid of [0, alice])
      for (const attack of ['GET', 'DELETE']) {
        const line = `${attack} /v1/cs/configs?dataId=hostmesh.mesh&group=rules`
        expect(await by(uid, line), line).to.match(/^403 /)
      }
    expect(await by(0, `POST /v1/cs/configs?dataId=x&group=RULES&content=y`)).to.match(/^403 /)
    expect(await by(alice, `POST /v1/cs/configs?${at}&content=new`)).to.equal('200 true')
    mesh.access = { reads: 'any', writes: 'off' }
    expect(await by(0, `POST /v1/cs/configs?${at}&content=newer`)).to.match(/^403 /)
    expect((await mesh.config.read('g', 'orders.yaml'))?.content).to.equal('new')
  })

  it('knows a login by its password, whatever the user; any other login is nobody’s', async () => {
    await face.close()
    await start({ logins: [{ username: 'billing', password: 'right' }] })
    await mesh.config.publish('g', 'billing', 'b', undefined)
    mesh.grants.push({
      to: { login: 'billing' },
      documents: ['g/billing'],
      writes: false,
      services: [],
      maxWeight: 1,
      ports: [],
    })
    const read = 'GET /v1/cs/configs?dataId=billing&group=g'
    const token = async (username: string, password: string): Promise<string> => {
      const text = await by(bob, `POST /v1/auth/login?username=${username}&password=${password}`)
      return /"accessToken":"([^"]*)"/.exec(text)?.[1] ?? text
    }
    expect(await by(bob, `${read}&accessToken=${await token('billing', 'right')}`)).to.equal('200 b')
    expect(await token('billing', 'wrong')).to.match(/^403 /)
    expect(await by(bob, `${read}&accessToken=${await token('nacos', 'nacos')}`)).to.match(/^403 /)
    expect(await by(bob, `${read}&accessToken=stale`)).to.match(/^403 /)
    expect(await by(bob, `${read}&username=billing&password=wrong`)).to.match(/^403 /)
    expect(await by(bob, `${read}&username=billing&password=right`)).to.equal('200 b')
    const list = 'GET /v1/ns/instance/list?serviceName=orders'
    expect(await by(bob, `${list}&accessToken=stale`), 'what everybody may').to.match(/^200 /)
  })

  it('answers no web page: neither a foreign origin nor a rebound name', async () => {
    const marks: Record<string, string>[] = [
      { origin: 'http://evil.example.com' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
    ]
    for (const line of [
      `POST /v1/ns/instance?${orders}`,
      'GET /v1/cs/configs?dataId=a&group=g',
      'GET /v1/console/server/state',
    ])
      for (const headers of marks) expect(await raw(line, headers), line).to.match(/^HTTP\/1.1 403 /)
    expect(await raw('GET /v1/console/server/state', {}, 'evil.example.com')).to.match(/^HTTP\/1.1 403 /)
    expect(await raw('GET /v1/console/server/state', {})).to.match(/^HTTP\/1.1 200 /)
    await face.close()
    await start({ hostNames: ['Nacos.Internal'] })
    expect(await raw('GET /v1/console/server/state', {}, 'nacos.internal:8848')).to.match(/^HTTP\/1.1 200 /)
    expect(mesh.applications.size).to.equal(0)
  })

  async function raw(line: string, headers: Record<string, string>, host = `127.0.0.1:${port}`): Promise<string> {
    const [method, path] = line.split(' ')
    const socket = connect(port, '127.0.0.1')
    const fields = Object.entries({ host, ...headers, connection: 'close', 'content-length': '0' })
    socket.end(
      `${method} /nacos${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
    )
    let text = ''
    socket.on('data', (bytes) => (text += bytes.toString()))
    await closing(socket)
    return text
  }

  it('announces no port of another user, no privileged one, no weight above 1, and not everything for one user', async () => {
    await face.close()
    await start({ limits: { maxInstancesPerUser: 2 } })
    mesh.listeners.set(5432, 26)
    for (const [what, reason] of [
      ['serviceName=a&ip=127.0.0.1&port=5432', /user 26 listens there/],
      ['serviceName=a&ip=127.0.0.1&port=22', /below 1024/],
      ['serviceName=a&ip=127.0.0.1&port=8080&weight=10000', /weight 10000/],
      ['serviceName=hostmesh.x&ip=127.0.0.1&port=8080', /of the agent itself/],
    ] as const) {
      const text = await by(bob, `POST /v1/ns/instance?${what}`)
      expect(text).to.match(/^403 /)
      expect(text).to.match(reason)
    }
    expect(await by(bob, 'POST /v1/ns/instance?serviceName=a&ip=127.0.0.1&port=8080')).to.equal('200 ok')
    expect(await by(bob, 'PUT /v1/ns/instance?serviceName=a&ip=127.0.0.1&port=8080&weight=9')).to.match(/^403 /)
    expect(await by(bob, 'POST /v1/ns/instance?serviceName=b&ip=127.0.0.1&port=8081')).to.equal('200 ok')
    expect(await by(bob, 'POST /v1/ns/instance?serviceName=c&ip=127.0.0.1&port=8082')).to.match(
      /^503 maxInstancesPerUser/,
    )
    expect(await by(alice, 'POST /v1/ns/instance?serviceName=c&ip=127.0.0.1&port=8082')).to.equal('200 ok')
  })

  it('looks up so many services for one user, over HTTP and gRPC together, and leaves the rest to others', async () => {
    await face.close()
    await start({ limits: { maxServicesPerUser: 3 } })
    const list = (name: string): string => `GET /v1/ns/instance/list?serviceName=${name}`
    for (const name of ['a', 'b', 'a', 'b']) expect(await by(bob, list(name))).to.match(/^200 /)
    mesh.caller = bob
    const client = new RawGrpc(`127.0.0.1:${grpcPort}`)
    await client.setUp()
    try {
      const subscribe = (serviceName: string) =>
        client.request('SubscribeServiceRequest', { serviceName, groupName: 'DEFAULT_GROUP', subscribe: true })
      expect((await subscribe('c')).body).to.include({ resultCode: 200 })
      for (let i = 0; i < 2; i++) {
        const { body } = await subscribe('d')
        expect(body).to.include({ errorCode: 503 })
        expect(body['message']).to.match(/^maxServicesPerUser: 4 asked for, 3 allowed/)
      }
      expect((await client.request('ServiceQueryRequest', { serviceName: 'd' })).body).to.include({ errorCode: 503 })
      expect(await by(bob, list('d'))).to.match(/^503 maxServicesPerUser/)
      expect(mesh.counted.get('nacos_face_refused maxServicesPerUser')).to.equal(4)
      for (const uid of [alice, 0]) expect(await by(uid, list('d'))).to.match(/^200 /)
      for (const name of ['e', 'f', 'g', 'h']) expect(await by(0, list(name))).to.match(/^200 /)
    } finally {
      client.close()
    }
  })

  it('lets the next face of the host know whose a registration is', async () => {
    await by(alice, `POST /v1/ns/instance?${orders}&ephemeral=false`)
    const restored = [...mesh.applications.values()]
    await face.close()
    await start()
    await face.close()
    mesh = new FakeMesh()
    mesh.trusted.clear()
    mesh.restored = restored
    face = createNacosFace({ host: '127.0.0.1', port: 0 }, mesh)
    await face.start()
    ;({ port, grpcPort } = face.status()!)
    expect(await by(bob, `DELETE /v1/ns/instance?${orders}&ephemeral=false`)).to.match(/^403 /)
    expect(await by(alice, `DELETE /v1/ns/instance?${orders}&ephemeral=false`)).to.equal('200 ok')
  })

  it('holds so many unfinished gRPC messages at a time: whoever sends more loses the connection', async () => {
    await face.close()
    await start({ limits: { maxBodyTotalBytes: 12_000_000, maxBodyBytesPerUser: 4_000_000 } })
    mesh.caller = alice
    const other = new RawGrpc(`127.0.0.1:${grpcPort}`)
    await other.setUp()
    mesh.caller = bob
    const session = connectHttp2(`http://127.0.0.1:${grpcPort}`).on('error', () => {})
    const closed = closing(session)
    const headers = {
      ':method': 'POST',
      ':path': '/Request/request',
      'content-type': 'application/grpc',
      te: 'trailers',
    }
    for (let i = 0; i < 3; i++) {
      const stream = session.request(headers).on('error', () => {})
      const head = Buffer.alloc(5)
      head.writeUInt32BE(10_000_000, 1)
      stream.write(Buffer.concat([head, Buffer.alloc(2_000_000)]))
    }
    await closed
    expect(mesh.counted.get('nacos_face_refused maxBodyBytesPerUser')).to.equal(1)
    expect((await other.request('HealthCheckRequest', {})).type).to.equal('HealthCheckResponse')
    other.close()
  })

  it('holds so many bodies at a time, of one user and of all; silent connections go, and shut nobody out', async function () {
    this.timeout(15_000)
    await face.close()
    await start({
      limits: {
        maxBodyTotalBytes: 300_000,
        maxBodyBytesPerUser: 200_000,
        maxHttpConnections: 20,
        maxHttpConnectionsPerUser: 8,
      },
    })
    mesh.caller = bob
    const silent = Array.from({ length: 30 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    await Promise.all(silent.map((socket) => once(socket, 'connect')))
    expect(await by(alice, 'GET /v1/console/server/state'), 'others are served').to.match(/^200 /)
    expect(mesh.counted.get('nacos_face_refused maxHttpConnectionsPerUser')).to.equal(22)
    const opened = performance.now()
    for (const socket of silent) if (!socket.closed) await closing(socket.resume())
    expect(performance.now() - opened).to.be.lessThan(6000)
    mesh.caller = bob
    const slow = connect(port, '127.0.0.1').on('error', () => {})
    slow.write(
      `POST /nacos/v1/cs/configs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(180_000)}`,
    )
    const body = 'x'.repeat(60_000)
    const deadline = performance.now() + 5000
    let text = ''
    while (!text.startsWith('503') && performance.now() < deadline)
      text = await by(bob, 'POST /v1/cs/configs', { body })
    expect(text).to.match(/^503 maxBodyTotalBytes/)
    expect(await by(alice, 'POST /v1/cs/configs', { body }), 'another user has room').to.match(/^400 /)
    slow.destroy()
  })
})
