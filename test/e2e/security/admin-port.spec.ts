/** The command of a user who may not open the socket: it reads at the admin port, but believes there only the agent. */
import { spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { Mesh } from '../../support/mesh/mesh.ts'
import { runAs } from '../../support/security/other-user.ts'

const [alice, bob] = [4201, 4202]
const main = join(import.meta.dirname, '../../../cli/main.ts')

/** Says what an agent would say where all is well. */
const liar = `
const { createServer } = require('node:http')
createServer((incoming, outgoing) => outgoing.end(JSON.stringify(incoming.url.startsWith('/ready') ? { ready: true, pending: [], problems: [], restartNeeded: [] } : { role: 'agent', host: 'believed', state: 'LIVE', workers: [], registries: [], registrations: [], rules: [], ports: [] })))
  .listen(Number(process.argv[1].split(':')[1]), process.argv[1].split(':')[0], function () { process.stdout.write(String(this.address().port)) })
`

describe('the admin port, asked by the command', function () {
  this.timeout(60_000)
  let folder: string

  before(function () {
    if (process.getuid!() !== 0) {
      console.log('skipped: only root can play several users')
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hm-port-'))
    chmodSync(folder, 0o755)
  })
  after(() => folder !== undefined && rmSync(folder, { recursive: true, force: true }))

  async function hostmesh(uid: number, ...words: string[]): Promise<{ code: number; out: string; err: string }> {
    const child = spawn(process.execPath, [main, ...words], {
      uid,
      gid: uid,
      cwd: '/',
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const closed = once(child, 'close') as Promise<[number]>
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed])
    return { code, out, err }
  }

  it('answers a user who may not open the socket', async () => {
    mkdirSync(join(folder, 'registry'))
    const mesh = await Mesh.open([{ name: 'files', type: 'file', directory: join(folder, 'registry') }])
    try {
      const host = await mesh.startedHost('alpha')
      chmodSync(mesh.directory, 0o755)
      const status = await hostmesh(alice, 'status', '-c', host.configPath)
      expect(status.err).to.equal('')
      expect(status.out).to.match(/^agent alpha  all right/)
      expect(status.code).to.equal(0)
    } finally {
      await mesh.close()
    }
  })

  it('is not believed when another user than the agent’s answers there', async () => {
    const stranger = runAs(bob, liar, '127.0.0.1:0')
    try {
      const [port] = (await once(stranger.stdout!, 'data')) as [Buffer]
      const config = join(folder, 'agent.yaml')
      const run = join(folder, 'run')
      writeFileSync(config, `runDir: ${run}\nadmin: { address: 127.0.0.1:${port.toString()} }\n`)
      for (const words of [
        ['status'],
        ['ports'],
        ['registrations'],
        ['rules', 'list'],
        ['explain', 'http://orders/'],
      ]) {
        rmSync(run, { recursive: true, force: true })
        for (const gone of await Promise.all([0, alice].map((uid) => hostmesh(uid, ...words, '-c', config)))) {
          expect(gone.code, `${words.join(' ')}: ${gone.out}${gone.err}`).to.equal(4)
          expect(gone.out).to.not.include('all right').and.to.not.include('believed')
        }
        mkdirSync(run, { mode: 0o700 })
        const denied = await hostmesh(alice, ...words, '-c', config)
        expect(denied.code, denied.out).to.equal(4)
        expect(denied.err).to.include(`user ${bob} answers here, the agent is user 0`)
        expect(denied.out).to.equal('')
      }
    } finally {
      stranger.kill('SIGKILL')
    }
  })

  it('gives way to no socket that another user has put there, not even for root, and not where one is named', async () => {
    const open = join(folder, 'open')
    const theirs = join(folder, 'theirs')
    mkdirSync(open)
    chmodSync(open, 0o777)
    mkdirSync(theirs)
    chownSync(theirs, bob, bob)
    const run = join(folder, 'own-run')
    mkdirSync(run, { mode: 0o700 })
    const config = join(folder, 'socket.yaml')
    const socketLiar = liar.replace(/\.listen\(.*\n/, ".listen(process.argv[1], () => process.stdout.write('on'))\n")
    for (const [directory, why] of [
      [open, `belongs to user ${bob}, the agent is user 0`],
      [theirs, `belongs to user ${bob}`],
    ] as const) {
      const socket = join(directory, 'admin.sock')
      const stranger = runAs(bob, socketLiar, socket)
      try {
        await once(stranger.stdout!, 'data')
        writeFileSync(config, `runDir: ${run}\nadmin: { address: off, socket: ${socket} }\n`)
        const found = await hostmesh(0, 'rules', 'list', '-c', config)
        expect(found.code, found.out).to.equal(4)
        expect(found.err).to.include(`${socket}: the socket is not believed`).and.to.include(why)
        const named = await hostmesh(0, 'status', '--admin', socket)
        if (directory === open) {
          expect(named.code, named.out).to.equal(4)
          expect(named.err).to.include('others may write to it')
        }
        expect(found.out).to.not.include('believed')
      } finally {
        stranger.kill('SIGKILL')
      }
    }
  })

  it('is believed when root answers for an agent of another user, and the socket’s own refusal is told otherwise', async () => {
    const server = createServer((_incoming, outgoing) => outgoing.end('{"rules":[]}')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const config = join(folder, 'root.yaml')
      const run = join(folder, 'closed/run')
      mkdirSync(run, { recursive: true, mode: 0o700 })
      const { port } = server.address() as AddressInfo
      writeFileSync(config, `runDir: ${run}\nadmin: { address: 127.0.0.1:${port} }\n`)
      const hidden = await hostmesh(alice, 'rules', 'list', '-c', config)
      expect(hidden.code).to.equal(4)
      expect(hidden.err).to.include('cannot be looked at')
      chmodSync(join(folder, 'closed'), 0o755)
      expect(await hostmesh(alice, 'rules', 'list', '-c', config)).to.include({ code: 0, err: '' })
    } finally {
      server.close()
    }
  })
})
