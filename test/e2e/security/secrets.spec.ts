/** Where the secrets of a TLS connection are not: nothing that an operator sees or keeps holds them, nor a core. */
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { expect } from 'chai'
import { stateFiles } from '../../../contracts/run-directory.ts'
import { inboundPort } from '../../support/mesh/host-facts.ts'
import { Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { processMemory } from '../../support/security/process-memory.ts'
import { Authority } from '../../support/tls/authority.ts'
import { IdentityFiles } from '../../support/tls/identity-files.ts'

const idOf = (account: string) => `spiffe://mesh.test/ns/default/sa/${account}`
const trafficSecret = /^(?:CLIENT|SERVER)_TRAFFIC_SECRET_0 [0-9a-f]+ ([0-9a-f]+)$/m

describe('the secrets of a TLS connection that moved', function () {
  this.timeout(90_000)
  const authority = new Authority()
  const secrets: Buffer[] = []
  let mesh: Mesh
  let host: DemoHost
  let socket: TLSSocket
  let key: string

  before(async () => {
    mesh = await Mesh.open([])
    const own = authority.leaf(idOf('orders'))
    key = own.key
    const tls = new IdentityFiles(mesh.directory, 'host', authority).write(own).section
    const applications = [await mesh.httpApplication('orders', 'v1')]
    host = await mesh.startedHost('host', { applications, extra: { tls, accessLog: { format: 'json' } } })
    const { certificate, key: callersKey } = authority.leaf(idOf('caller'))
    socket = connect({
      host: host.options.address,
      port: await inboundPort(host, 'orders'),
      cert: certificate,
      key: callersKey,
      ca: authority.certificate,
      checkServerIdentity: () => undefined,
    })
    socket.on('keylog', (line: Buffer) => {
      const [, secret] = trafficSecret.exec(line.toString()) ?? []
      if (secret !== undefined) secrets.push(Buffer.from(secret, 'hex'))
    })
    await once(socket, 'secureConnect')
    await ask()
    expect(await host.reload()).to.equal('done')
    await ask()
    expect(secrets).to.have.length(2)
  })
  after(async () => {
    socket?.destroy()
    await mesh?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function ask(): Promise<void> {
    socket.write('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    expect(bytes.toString()).to.match(/^HTTP\/1.1 200 /)
  }

  /** In each form in which bytes are written down. */
  const forms = (): Buffer[] =>
    secrets.flatMap((secret) => [
      secret,
      ...(['hex', 'base64'] as const).map((form) => Buffer.from(secret.toString(form))),
    ])

  const keyLine = (): string => key.split('\n')[1]!

  it('are in no line of a log and in no page of the admin interface, and neither is a private key', async () => {
    const pages = [
      '/config_dump',
      '/certs',
      '/connections?format=json',
      '/stats/prometheus',
      '/listeners',
      '/server_info',
    ]
    const said = [
      ...host.lastLines(500),
      ...(await Promise.all(pages.map(async (page) => (await host.admin.get(page)).text))),
    ].join('\n')
    expect(said).to.include('orders')
    for (const form of forms()) expect(said.includes(form.toString('latin1'))).to.equal(false)
    expect(said).to.not.include(keyLine())
  })

  /** What is being written anew takes the place of another file in the meantime; that one is read as well. */
  const contentOf = (file: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (error) {
      if (file.endsWith('.tmp') && (error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0)
      throw error
    }
  }

  it('are in no file of the host', () => {
    const all = [host.stateDir, host.runDir].flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
    )
    const files = all.filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile())
    expect(files.map((file) => file.slice(host.stateDir.length + 1))).to.include(stateFiles.snapshot)
    for (const file of files) {
      const content = contentOf(file)
      for (const form of forms()) expect(content.includes(form), file).to.equal(false)
    }
  })

  it('would be in no core: no process of the host may write one', async () => {
    const { generations } = await host.watchdogState()
    const pids = generations.flatMap(({ children }) => children.map(({ pid }) => pid))
    for (const pid of [host.pid!, ...pids])
      expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).to.match(/^Max core file size +0 +0 /m)
  })

  it('are wiped where they were used once the connection has ended', async () => {
    const { generations } = await host.watchdogState()
    const worker = generations.flatMap(({ children }) => children).find(({ role }) => role === 'worker')!
    const found = (): number => secrets.filter((secret) => processMemory(worker.pid, secret) > 0).length
    expect(found(), 'while it is there').to.be.above(0)
    socket.destroy()
    await until(30_000, 'wiped', async () => found() === 0)
  })
})
