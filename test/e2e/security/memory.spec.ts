/** One user makes a worker hold as much memory as it can; the worker takes no more before it would be replaced. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { call, Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'
import { runAs } from '../../support/security/other-user.ts'

const greedy = 4201
const maxMemoryMb = 256
const services = ['silent-1', 'silent-2', 'silent-3']

/**
 * Uploads that the agent keeps whole for a repeat, to applications that never answer: more and more of them, each begun
 * again when it ends. Says `on` when it was turned away often.
 */
const uploader = `
const { connect } = require('node:net')
const [host, port, ...names] = process.argv[1].split(' ')
const content = Buffer.alloc(65000, 120)
let begun = 0, refused = 0
const dial = () => {
  const name = names[begun++ % names.length]
  const socket = connect(Number(port), host)
  let isSent = false
  socket.on('connect', () => { socket.write('POST / HTTP/1.1\\r\\nHost: ' + name + '\\r\\nContent-Length: 65000\\r\\n\\r\\n'); socket.write(content, () => (isSent = true)) })
  socket.on('error', () => {})
  socket.on('close', () => { if (++refused === 300) process.stdout.write('on'); setTimeout(dial, 100) })
  socket.resume()
}
const more = () => { for (let i = 0; i < 20; i++) dial(); if (begun < 3600) setTimeout(more, 30) }
more()
`

describe('one user who makes a worker hold as much memory as it can', function () {
  this.timeout(180_000)
  let folder: string
  let mesh: Mesh
  let host: DemoHost
  let silent: Server
  const taken = new Set<Socket>()

  before(async function () {
    if (process.getuid!() !== 0) {
      console.log('skipped: only root can play several users')
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hm-memory-'))
    mesh = await Mesh.open([{ name: 'files', type: 'file', directory: folder }])
    const orders = await mesh.httpApplication('orders', 'v1')
    const address = mesh.address()
    silent = createServer((socket) => {
      taken.add(socket.on('error', () => {}).on('close', () => taken.delete(socket)))
      socket.resume()
    }).listen(0, address)
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const put = (service: string, endpoint: object): void =>
      writeFileSync(join(folder, `${service}.json`), JSON.stringify({ service, endpoints: [endpoint] }))
    put('orders', { address: orders.address, port: orders.port })
    for (const service of services) put(service, { address, port })
    host = mesh.host('host', {
      extra: { watchdog: { maxMemory: `${maxMemoryMb}MiB`, startDeadline: '60s', probeTimeout: '10s' } },
    })
    host.start()
    await host.ready()
    await until(30_000, 'orders is reachable', async () => (await callOrders()).status === 200)
  })
  after(async () => {
    await mesh?.close()
    for (const socket of taken) socket.destroy()
    silent?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const callOrders = () => call(host.options.address, 15_001, { host: 'orders' })
  const metric = async (name: string): Promise<number> => {
    const { text } = await host.admin.get('/stats/prometheus')
    return Number(new RegExp(`^${name}\\S* (\\S+)`, 'm').exec(text)?.[1])
  }
  const processes = async (): Promise<readonly number[]> =>
    (await host.watchdogState()).generations.flatMap(({ children }) => children.map(({ pid }) => pid))

  it('is turned away; the worker is not replaced, serves who is there, and takes others again', async () => {
    const before = await processes()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    /** On the one connection: `200`, or a status and the word of the mesh. */
    const callAgain = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const headers = { host: 'orders' }
        request({ agent, host: host.options.address, port: 15_001, headers }, (incoming) => {
          const { headers, statusCode } = incoming
          const word = headers['x-mesh-error']
          incoming
            .resume()
            .once('end', () => resolve(word === undefined ? `${statusCode}` : `${statusCode} ${String(word)}`))
        })
          .once('error', reject)
          .end()
      })
    expect(await callAgain()).to.equal('200')
    const held = runAs(greedy, uploader, `${host.options.address} 15001 ${services.join(' ')}`)
    try {
      await once(held.stdout!, 'data')
      const resident = await metric('hostmesh_worker_memory_bytes')
      const line = new RegExp(`\\d+ MiB resident of ${maxMemoryMb} allowed: new connections are closed`)
      await until(30_000, 'a line in the log', async () => line.test(mesh.report()))
      expect(await metric('hostmesh_memory_sheds_total')).to.be.greaterThan(100)
      expect(resident).to.be.lessThan(maxMemoryMb * 1_048_576)
      // a part of the requests is refused above 95 %
      for (let heard = ''; heard !== '200';) {
        heard = await callAgain()
        expect(heard, 'who was connected before').to.be.oneOf(['200', '503 E_OVERLOAD'])
      }
    } finally {
      held.kill('SIGKILL')
    }
    await until(45_000, 'new callers are taken again', async () => (await callOrders()).status === 200)
    expect(await processes(), 'the same processes').to.deep.equal(before)
    agent.destroy()
  })
})
