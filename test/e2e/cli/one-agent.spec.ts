import { expect } from 'chai'
import { spawnSync, spawn } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { isDeepStrictEqual } from 'node:util'
import { claimLoopbackBlock } from '../../../cli/launch/loopback-block.ts'
import { Mesh } from '../../support/mesh/mesh.ts'

const main = join(import.meta.dirname, '../../../cli/main.ts')
const environment = { PATH: process.env['PATH'], HOSTMESH_CONFIG: '', HOSTMESH_ADMIN: '', HOSTMESH_RUN_DIR: '' }
for (const name of ['HOSTMESH_CONFIG', 'HOSTMESH_ADMIN', 'HOSTMESH_RUN_DIR']) Reflect.deleteProperty(environment, name)

interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

async function hostmesh(...words: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...words], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, out, err }
}

describe('one way to name the agent', function () {
  this.timeout(60_000)

  describe('a whole host', () => {
    let mesh: Mesh
    let folder: string
    let config: string

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'hm-cli-'))
      mesh = await Mesh.open([{ name: 'files', type: 'file', directory: folder }])
      const host = mesh.host('alpha')
      host.start()
      await host.ready()
      config = host.configPath
    })

    after(async () => {
      await mesh?.close()
      rmSync(folder, { recursive: true, force: true })
    })

    it('finds admin interface and run directory through -c alone', async () => {
      const status = await hostmesh('status', '-c', config)
      expect(status.code, status.out + status.err).to.equal(0)
      expect(status.out).to.include('all right')
      for (const words of [['generations'], ['ports'], ['registrations'], ['rules', 'list']]) {
        const ran = await hostmesh(...words, '-c', config)
        expect(ran.code, `${words.join(' ')}: ${ran.out}${ran.err}`).to.equal(0)
      }
      const reload = await hostmesh('reload', '-c', config, '--json')
      expect(reload.code, reload.err).to.equal(0)
      expect(JSON.parse(reload.out)).to.include({ kind: 'reload', outcome: 'done' })
    })

    it('says how workers serve their sockets, and takes a change of it with an upgrade', async () => {
      const transport = async () => {
        const { out } = await hostmesh('status', '-c', config, '--json')
        const { workers } = JSON.parse(out) as { workers: { transport?: unknown }[] }
        return workers[0]?.transport
      }
      expect((await hostmesh('status', '-c', config)).out).to.include('epoll: the self-test passed')
      const before = readFileSync(config, 'utf8')
      for (const [words, found] of [
        ['\nworkerTransport: raw\n', { kind: 'raw', reason: 'as configured' }],
        ['', { kind: 'epoll', reason: 'the self-test passed' }],
      ] as const) {
        writeFileSync(config, before + words)
        const upgrade = await hostmesh('upgrade', '-c', config, '--json')
        expect(upgrade.code, upgrade.err).to.equal(0)
        await until(async () => isDeepStrictEqual(await transport(), found))
      }
    })

    it('still finds it when the file has problems, and status says so', async () => {
      const host = mesh.host('beta')
      host.start()
      await host.ready()
      writeFileSync(join(host.options.directory, 'rules.d/broken.yaml'), 'kind: VirtualService\nspec: { hosts: 7 }\n')
      await until(async () => (await hostmesh('status', '-c', host.configPath)).code === 1)
      const status = await hostmesh('status', '-c', host.configPath)
      expect(status.out).to.include('not all right').and.to.include('E_RULE_REJECTED')
      const rules = await hostmesh('rules', 'list', '-c', host.configPath)
      expect(rules).to.include({ code: 1, err: '' })
      expect(rules.out).to.include('rejected').and.to.include('broken.yaml')
    })

    it('says what the watchdog does when control does not answer', async () => {
      const host = mesh.host('gamma', { extra: { admin: { address: 'off' } } })
      host.start()
      await host.ready()
      rmSync(join(host.runDir, 'admin.sock'))
      const status = await hostmesh('status', '-c', host.configPath)
      expect(status.code, status.err).to.equal(1)
      expect(status.out).to.match(/not all right[\s\S]*watchdog \d+ answers/)
    })
  })

  describe('with words that lead nowhere', () => {
    let folder: string
    before(() => (folder = mkdtempSync(join(tmpdir(), 'hm-cli-'))))
    after(() => rmSync(folder, { recursive: true, force: true }))

    it('a file that is not there: says how else to name the agent', async () => {
      const ran = await hostmesh('status', '-c', join(folder, 'none.yaml'))
      expect(ran.code).to.equal(3)
      expect(ran.err).to.include('none.yaml').and.to.include('--admin')
    })

    it('nobody there: names the socket, and does not ask whoever has the port', async () => {
      const config = join(folder, 'agent.yaml')
      writeFileSync(config, 'runDir: run\nadmin: { address: 127.0.0.1:1 }\n')
      const ran = await hostmesh('status', '-c', config)
      expect(ran.code).to.equal(4)
      expect(ran.err).to.include(join(folder, 'run/admin.sock')).and.to.not.include('127.0.0.1:1')
      const watchdog = await hostmesh('generations', '-c', config)
      expect(watchdog.code).to.equal(4)
      expect(watchdog.err).to.include(join(folder, 'run/watchdog.sock'))
    })

    it('a run directory below one that others may write to, or a socket in one: nothing starts', async () => {
      const shared = join(folder, 'shared')
      mkdirSync(join(shared, 'run'), { recursive: true })
      mkdirSync(join(folder, 'registry'))
      chmodSync(shared, 0o777)
      const config = join(folder, 'shared.yaml')
      const document = {
        stateDir: 'state',
        host: { address: '127.0.0.1' },
        registries: [{ name: 'files', type: 'file', directory: 'registry' }],
        workers: 1,
      }
      for (const place of [{ runDir: 'shared/run' }, { runDir: 'run', admin: { socket: 'shared/admin.sock' } }]) {
        writeFileSync(config, JSON.stringify({ ...document, ...place }))
        const ran = await hostmesh('agent', '-c', config)
        expect(ran.code).to.equal(1)
        expect(ran.err).to.match(/E_RUN_DIRECTORY.*shared.*others may write to/)
      }
      writeFileSync(config, JSON.stringify({ ...document, runDir: 'shared/run' }))
      const ran = await hostmesh('watchdog', '-c', config)
      expect(ran.code).to.equal(1)
      expect(ran.out).to.match(/E_RUN_DIRECTORY.*shared.*others may write to/)
    })

    it('a center started from a file without its role: says what to write', async () => {
      const config = join(folder, 'center.yaml')
      writeFileSync(config, 'runDir: run\n')
      const ran = await hostmesh('center', '-c', config)
      expect(ran.code).to.equal(3)
      expect(ran.err).to.include('write "role: center" into the file')
    })
  })

  it('says in one line that its answer could not be written', async function () {
    for (const words of [['check', '-c', '/nowhere/agent.yaml'], ['--help'], ['--json', 'check', '-c', '/nowhere']]) {
      const full = openSync('/dev/full', 'w')
      const child = spawn(process.execPath, [main, ...words], { env: environment, stdio: ['ignore', full, 'pipe'] })
      closeSync(full)
      const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
      const [err, code] = await Promise.all([text(child.stderr!), ended])
      expect(code, words.join(' ')).to.be.oneOf([1, 3])
      expect(err, words.join(' ')).to.match(/hostmesh: the answer could not be written: ENOSPC/)
      expect(err).to.not.include('at ')
    }
  })

  it('serves on when the disk behind its log is full', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hm-cli-'))
    const block = await claimLoopbackBlock(Math.random)
    const config = join(folder, 'agent.yaml')
    const address = block.address(1)
    const at = (port: number): object => ({ address: `${address}:${port}` })
    const document = {
      runDir: 'run',
      stateDir: 'state',
      workers: 1,
      host: { address },
      registries: [{ name: 'files', type: 'file', directory: 'registry' }],
      outbound: { http: `${address}:15001` },
      admin: at(15_000),
      metrics: at(15_020),
      readiness: at(15_021),
    }
    writeFileSync(config, JSON.stringify(document))
    mkdirSync(join(folder, 'registry'))
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, [main, 'agent', '-c', config], {
      env: environment,
      stdio: ['ignore', full, full],
    })
    closeSync(full)
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    try {
      await until(async () => child.exitCode !== null || (await hostmesh('status', '-c', config)).code === 0)
      expect(child.exitCode).to.equal(null)
    } finally {
      child.kill('SIGTERM')
      await ended
      await block.release()
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('is silent when its reader has seen enough', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hm-cli-'))
    const rule = {
      state: 'applied',
      kind: 'k',
      namespace: 'n',
      name: 'x'.repeat(50),
      document: 'd',
      line: 1,
      problems: [],
    }
    const server = createServer((_request, reply) =>
      reply.end(JSON.stringify({ rules: Array.from({ length: 5000 }, () => rule) })),
    )
    await listen(server, join(folder, 'admin.sock'))
    try {
      const child = spawn(
        'sh',
        ['-c', '"$0" "$@" | head -n 1', process.execPath, main, 'rules', 'list', '--admin', join(folder, 'admin.sock')],
        {
          env: environment,
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      )
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
      expect(out).to.match(/^state/)
      expect(err).to.equal('')
    } finally {
      server.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe('the launcher of a release', () => {
  it('names the libraries that the system lacks', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hm-launcher-'))
    try {
      const node = join(folder, 'node_modules/node-linux-any/bin/node')
      for (const name of ['bin', 'cli', 'node_modules/node-linux-any/bin'])
        mkdirSync(join(folder, name), { recursive: true })
      // this Node, asking for a library that no system has
      const binary = readFileSync(process.execPath)
      const at = binary.indexOf('libm.so.6\0')
      binary.write('libm.so.0', at, 'latin1')
      writeFileSync(node, binary, { mode: 0o755 })
      spawnSync('cp', [join(import.meta.dirname, '../../../bin/hostmesh'), join(folder, 'bin')])
      const ran = spawnSync(join(folder, 'bin/hostmesh'), ['status'], { encoding: 'utf8' })
      expect(ran.status).to.equal(1)
      expect(ran.stderr).to.include('E_NODE_LIBRARIES').and.to.include('libm.so.0').and.to.include('apt-get install')
      expect(ran.stderr).to.not.include('libc.so.6')
      rmSync(join(folder, 'node_modules'), { recursive: true })
      expect(spawnSync(join(folder, 'bin/hostmesh'), { encoding: 'utf8' }).stderr).to.include(
        'no Node for this machine',
      )
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve) => server.listen(path, resolve))
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 100))
}
