import { expect } from 'chai'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { call, Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'

describe('the file of the access log', function () {
  this.timeout(60_000)
  let mesh: Mesh | undefined
  afterEach(async () => {
    await mesh?.close()
    mesh = undefined
  })

  const linesIn = (file: string): string[] =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line.includes('/line/'))
      : []

  const askedBy: Readonly<Record<string, (host: DemoHost) => Promise<void>>> = {
    'SIGUSR1 to the watchdog': async (host) => {
      process.kill(host.pid!, 'SIGUSR1')
    },
    'POST /reopen_logs': async (host) => {
      expect((await host.admin.get('/reopen_logs')).status).to.equal(405)
      expect((await host.admin.post('/reopen_logs')).status).to.equal(200)
    },
  }
  for (const [how, reopen] of Object.entries(askedBy))
    it(`is opened anew on ${how}, as logrotate wants it, and loses no line`, () => isOpenedAnew(reopen))

  async function isOpenedAnew(reopen: (host: DemoHost) => Promise<void>): Promise<void> {
    mesh = await Mesh.open([])
    const file = join(mesh.directory, 'access.log')
    const host: DemoHost = await mesh.startedHost('alpha', {
      extra: { accessLog: { format: 'text', path: file }, workers: 1 },
    })
    let sent = 0
    const ask = async (): Promise<void> => {
      await call(host.options.address, sharedPort, { 'x-mesh-service': 'nobody' }, `/line/${sent++}`)
    }
    await ask()
    await until(30_000, 'the first line', async () => linesIn(file).length === 1)
    // one worker, which has the file open: nothing but being asked makes it open another one
    const older = ['1', '2', '3'].map((number) => `${file}.${number}`)
    for (const one of older) {
      renameSync(file, one)
      await reopen(host)
      await until(30_000, 'a line in the new file', async () => {
        await ask()
        return linesIn(file).length > 0
      })
    }
    expect(host.isRunning).to.equal(true)
    await until(30_000, 'every line', async () => [file, ...older].flatMap(linesIn).length === sent)
  }
})
