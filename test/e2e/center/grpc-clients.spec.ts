/** Clients of gRPC that find a service by xDS at a center, by the bootstrap of docs/xds.md. */
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, Metadata, status } from '@grpc/grpc-js'
import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { docsBlock } from '../../support/docs/docs-block.ts'
import { freePort } from '../../support/free-port.ts'
import { Mesh, until } from '../../support/mesh/mesh.ts'

type Result = readonly [code: number, version: string]

describe('clients of gRPC and a center', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let api: string
  let child: ChildProcess
  let lines: Interface
  const servers: Server[] = []
  /** Versions whose instances refuse a call with UNAVAILABLE. */
  const refusing = new Set<string>()

  async function instance(version: string): Promise<object> {
    const server = new Server()
    const raw = (bytes: Buffer): Buffer => bytes
    const forms = { requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw }
    server.addService(
      { Get: { path: '/test.Orders/Get', requestStream: false, responseStream: false, ...forms } },
      {
        Get: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
          if (refusing.has(version)) return done({ code: status.UNAVAILABLE, details: `${version} refuses` })
          const head = new Metadata()
          head.set('version', version)
          call.sendMetadata(head)
          done(null, Buffer.alloc(0))
        },
      },
    )
    servers.push(server)
    const address = mesh.address()
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(`${address}:0`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    )
    return { address, port, version, metadata: { 'hostmesh.protocol': 'grpc' } }
  }
  async function put(kind: string, spec: object): Promise<void> {
    const collection = `${api}/apis/networking.istio.io/v1/namespaces/shop/${kind.toLowerCase()}s`
    const body = JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind,
      metadata: { name: 'orders' },
      spec,
    })
    const headers = { 'content-type': 'application/json' }
    const made = await fetch(collection, { method: 'POST', headers, body })
    if (made.status === 201) return
    const replaced = await fetch(`${collection}/orders`, { method: 'PUT', headers, body })
    expect(replaced.status, await replaced.text()).to.equal(200)
  }
  const route = (http: readonly object[]): Promise<void> => put('VirtualService', { hosts: ['orders'], http })
  const to = (subset: string, weight?: number): object => ({ destination: { host: 'orders', subset }, weight })
  async function calls(count: number, metadata = ''): Promise<readonly Result[]> {
    const answer = once(lines, 'line')
    child.stdin!.write(`${count} ${metadata}`.trimEnd() + '\n')
    return JSON.parse(String((await answer)[0])) as Result[]
  }
  const leadsTo = (version: string, metadata = ''): Promise<number> =>
    until(30_000, `calls to ${version}`, async () => {
      const [[code, found]] = (await calls(1, metadata)) as [Result]
      return code === 0 && found === version
    })

  before(async () => {
    mesh = await Mesh.openOnFiles()
    const at = mesh.address()
    api = `http://${at}:15016`
    mesh.tell('orders', [await instance('v1'), await instance('v2')])
    const xds = `127.0.0.1:${await freePort()}`
    await mesh.startedHost('center', {
      role: 'center',
      extra: {
        rulesApi: { address: `${at}:15016`, withoutToken: 'admin' },
        xds: { address: xds, withoutToken: 'read' },
      },
    })
    const subset = (name: string): object => ({ name, labels: { version: name } })
    await put('DestinationRule', { host: 'orders', subsets: [subset('v1'), subset('v2')] })
    await route([{ route: [to('v1')] }])
    child = spawn(process.execPath, ['test/support/envoy/grpc-caller.ts', 'xds:///orders'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        ...process.env,
        GRPC_XDS_BOOTSTRAP_CONFIG: docsBlock('xds.md', '"xds_servers"').replace('127.0.0.1:15010', xds),
      },
    })
    lines = createInterface({ input: child.stdout! })
  })
  after(async () => {
    child?.kill('SIGKILL')
    for (const server of servers) server.forceShutdown()
    await mesh?.close()
  })

  it('call the subset that the rule names, and follow its change', async () => {
    await leadsTo('v1')
    await route([{ route: [to('v2')] }])
    await leadsTo('v2')
    expect(new Set((await calls(20)).map(([, version]) => version))).to.deep.equal(new Set(['v2']))
  })

  it('divide calls by weight, and send those with certain metadata elsewhere', async () => {
    await route([
      { match: [{ headers: { tester: { exact: 'yes' } } }], route: [to('v2')] },
      { match: [{ headers: { gone: { exact: 'yes' } } }], redirect: { uri: '/elsewhere' } },
      { route: [to('v1', 75), to('v2', 25)] },
    ])
    await until(30_000, 'both versions', async () => new Set((await calls(20)).map(([, one]) => one)).size === 2)
    expect(new Set((await calls(20, 'tester yes')).map(([, version]) => version))).to.deep.equal(new Set(['v2']))
    expect((await calls(1, 'gone yes'))[0]![0], 'a redirect says nothing in gRPC').to.equal(status.UNAVAILABLE)
    const of = (await calls(200)).filter(([, version]) => version === 'v2').length
    // 50 of 200, six deviations of 6.1 around it
    expect(of).to.be.within(13, 87)
  })

  it('repeat calls by the statuses that the rule names, and no others', async () => {
    refusing.add('v2')
    const both = [{ destination: { host: 'orders' } }]
    await route([{ route: both, retries: { attempts: 3, retryOn: 'unavailable' } }])
    await until(30_000, 'no call that fails', async () => (await calls(20)).every(([code]) => code === 0))
    await route([{ route: both, retries: { attempts: 3, retryOn: '5xx' } }])
    await until(30_000, 'calls that fail', async () => (await calls(20)).some(([code]) => code === status.UNAVAILABLE))
    refusing.clear()
  })

  it('find an instance that takes the place of all others', async () => {
    mesh.tell('orders', [await instance('v3')])
    await leadsTo('v3')
  })
})
