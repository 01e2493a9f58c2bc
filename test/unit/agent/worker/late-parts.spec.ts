import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Snapshot } from '../../../../contracts/snapshot.ts'
import { freePort } from '../../../support/free-port.ts'
import { listingFlags, loadedModules } from '../../../support/worker/loaded-modules.ts'
import { endpointOf, keyOf, snapshotOf } from '../../../support/worker/snapshots.ts'
import type { ServicePlan } from '../../../support/worker/snapshots.ts'
import { WorkerProcess } from '../../../support/worker/worker-process.ts'

/** What a worker for plain HTTP/1.1 may load of its own files; a tenth below is a reason to lower it. */
const mostModules = 389
/** Folders that it does without, but for what is said here: names, counts and the place that loads the rest. */
const lateFolders =
  /^agent\/worker\/(?:protocols\/http2|protocols\/rpc|transport\/tls|udp|filters\/(?:authorization|ext-authz|global-rate-limit|jwt))\/|^rpc\/|^node_modules\//
const early = [
  'agent/worker/filters/authorization/decision-counts.ts',
  'agent/worker/filters/ext-authz/authorizer-counts.ts',
  'agent/worker/transport/tls/client-hello.ts',
  'agent/worker/transport/tls/identities.ts',
  'agent/worker/transport/tls/open-tls.ts',
  'agent/worker/transport/tls/tls-counts.ts',
  'agent/worker/transport/tls/words.ts',
  'agent/worker/udp/read-turns.ts',
  'agent/worker/udp/udp-counts.ts',
  'agent/worker/udp/udp-plane.ts',
]
/** Parts of Node that cost memory of their own. */
const lateParts = [
  'node:child_process',
  'node:crypto',
  'node:tls',
  'node:http',
  'node:http2',
  'node:https',
  'node:worker_threads',
  'node:zlib',
]

describe('what a worker loads', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hm-late-'))
  const list = join(folder, 'modules')
  const old = createServer((_request, response) => response.end('http1'))
  const modern = createHttp2Server((_request, response) => response.end('http2'))
  let port: number
  let rpcPort: number
  let worker: WorkerProcess | undefined

  const portOf = (server: Pick<Server, 'address'>): number => (server.address() as AddressInfo).port
  const fresh = (seen: ReadonlySet<string>): string[] => loadedModules(list).filter((one) => !seen.has(one))
  const planned = (plan: Partial<ServicePlan>, rpc = {}): Snapshot => {
    const endpoints = [endpointOf('127.0.0.1', portOf(plan.protocol === 'http2' ? modern : old))]
    const services = [{ name: 'orders', endpoints, ...plan }]
    return snapshotOf({ services, listen: { orders: { address: '127.0.0.1', port } }, rpc })
  }
  /** Changes one service and its routes. */
  const become = (plan: Partial<ServicePlan>): Promise<void> => {
    const { services, virtualHosts } = planned(plan)
    return worker!.change({ services, virtualHosts })
  }

  function answer(): Promise<string> {
    return new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: '/', agent: false }, (response) => {
        let text = `${response.statusCode} `
        response.on('data', (chunk: Buffer) => (text += chunk.toString())).on('end', () => resolve(text))
      })
        .on('error', reject)
        .end()
    })
  }

  before(async function () {
    this.timeout(60_000)
    for (const server of [old, modern]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    port = await freePort()
    rpcPort = await freePort()
    const flags = [...listingFlags(list), '--expose-gc', '--trace-gc']
    worker = await WorkerProcess.start(planned({}), flags, { transport: 'raw' })
  })
  after(async () => {
    await worker?.stop()
    old.close()
    modern.close()
    rmSync(folder, { recursive: true })
  })

  it('for HTTP/1.1 is little: a new eager import has to be wanted', async () => {
    expect(await answer()).to.equal('200 http1')
    const modules = loadedModules(list)
    const own = modules.filter((one) => !one.startsWith('node:'))
    expect(own.filter((one) => lateFolders.test(one)).toSorted()).to.deep.equal(early)
    expect(modules.filter((one) => lateParts.includes(one))).to.deep.equal([])
    expect(own.length, own.toSorted().join('\n')).to.be.at.most(mostModules)
    expect(own.length).to.be.at.least(mostModules * 0.9)
  })

  it('is moved together before it serves', () => {
    const [atStart] = worker!.log(100_000).split('"serving"')
    expect(atStart).to.match(/Mark-Compact \(reduce\)/)
  })

  it('for a pattern comes with the first rule that has one', async () => {
    const seen = new Set(loadedModules(list))
    await become({ route: { matches: [{ uri: { regex: '/.*' } }] } })
    expect(fresh(seen)).to.include('agent/worker/route/re2.ts').and.to.include('node_modules/re2js/build/index.js')
    expect(await answer()).to.equal('200 http1')
  })

  it('for questions comes with the first of them', async () => {
    const seen = new Set(loadedModules(list))
    const request = { listener: 'orders', method: 'GET', host: 'orders', path: '/', headers: [], sourceApp: undefined }
    await worker!.ask({ kind: 'explain', request })
    expect(fresh(seen)).to.include('agent/worker/route/explain.ts')
    const candidate = { id: 'a', share: 1, ms: 60_000, virtualHosts: {}, services: {} }
    await worker!.ask({ kind: 'begin-dry-run', candidate })
    expect(fresh(seen)).to.include('agent/worker/dry-run/dry-run.ts')
  })

  it('for a filter comes with the first route that has it', async () => {
    const seen = new Set(loadedModules(list))
    const { services, virtualHosts } = planned({ route: { filters: [{ kind: 'authorization' }] } })
    const key = keyOf('orders')
    const nobody = { namespace: 'public', name: 'nobody', action: 'ALLOW', rules: [] } as const
    const authorization = { trustDomain: 'cluster.local', policies: [nobody] }
    await worker!.change({ services, virtualHosts: { [key]: { ...virtualHosts[key]!, authorization } } })
    expect(await answer()).to.match(/^403 /)
    expect(fresh(seen)).to.include('agent/worker/filters/authorization/authorization.ts')
    expect(fresh(seen).filter((one) => one.includes('jwt'))).to.deep.equal([])
    await become({})
  })

  it('for callers of HTTP/2 comes with the first of them', async () => {
    const seen = new Set(loadedModules(list))
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':path': '/', ':authority': 'orders' })
    let text = ''
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await once(stream, 'end')
    session.destroy()
    expect(text).to.equal('http1')
    expect(fresh(seen)).to.include('agent/worker/http2-kind.ts')
  })

  it('for endpoints of HTTP/2 is there with their service', async () => {
    await become({ protocol: 'http2' })
    expect(await answer()).to.equal('200 http2')
  })

  it('for private RPC and for TLS comes with what names it', async () => {
    const seen = new Set(loadedModules(list))
    const { listeners } = planned({}, { bolt: { address: '127.0.0.1', port: rpcPort } })
    await worker!.change({ listeners: { bolt: listeners['bolt']! } })
    expect(fresh(seen)).to.include('agent/worker/rpc-kind.ts')
    expect(fresh(seen)).not.to.include('node:tls')
    await become({ policy: { tls: { mode: 'simple', sni: 'orders', subjectAltNames: [] } } })
    expect(fresh(seen)).to.include('agent/worker/transport/tls/tls-parts.ts').and.to.include('node:tls')
    expect(await answer(), 'an endpoint without TLS').to.match(/^503 /)
  })
})
