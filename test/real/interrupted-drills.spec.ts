/** Each drill, interrupted at some moment by Ctrl-C and by `kill -9`: the host is whole again. `npm run drills`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { drillNames } from '../../cli/drill/names.ts'
import { hostmesh } from '../support/ca/joining.ts'
import type { DemoHost } from '../support/mesh/mesh.ts'
import { type MeshWithCenter, startMeshWithCenter } from '../support/mesh/mesh-with-center.ts'

/** A center's own, and what has nothing to renew here. */
const elsewhere = new Set<string>(['kill-center', 'certificate-expiry'])
/** From its beginning until it has restored a drill of three seconds takes about nine. */
const longestMs = 8000
/** What control and watchdog play ends by itself with its time; what they have to start again takes a while. */
const wholeAgainMs = 60_000

describe('a drill that is interrupted', function () {
  this.timeout(150_000)
  let started: MeshWithCenter
  let alpha: DemoHost

  before(async () => {
    started = await startMeshWithCenter()
    alpha = started.alpha
  })

  after(() => started?.close())

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(started?.mesh.report())
  })

  /** What of the drill is still there, or wrong; empty when the host is as it was. */
  const left = async (): Promise<string[]> => {
    const { out } = await hostmesh('doctor', '--json', '-c', alpha.configPath)
    const { findings } = JSON.parse(out) as { findings: { link: string; state: string; says: string }[] }
    const bad = findings.filter(({ state }) => state === 'bad').map(({ link, says }) => `${link}: ${says}`)
    const folders = ['services.d', 'rules.d'].map((name) => join(alpha.options.directory, name)).filter(existsSync)
    const files = folders.flatMap((folder) => readdirSync(folder)).filter((name) => name.startsWith('hostmesh-drill'))
    const { text } = await alpha.admin.get('/stats/prometheus')
    const fault = /^hostmesh_drill_fault\S* 1$/m.test(text) ? ['a fault plays'] : []
    return [...bad, ...files, ...fault]
  }

  for (const name of drillNames.filter((one) => !elsewhere.has(one)))
    for (const signal of ['SIGINT', 'SIGKILL'] as const)
      it(`${name} by ${signal} leaves the host whole`, async function () {
        const words = ['cli/main.ts', 'drill', name, '--yes', '--json', '--for', '3s', '-c', alpha.configPath]
        const running = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] })
        const ended = once(running, 'close')
        const mark = join(alpha.stateDir, 'drills', 'running')
        await alpha.until(
          60_000,
          () => 'it does not begin',
          async () => existsSync(mark),
        )
        const afterMs = Math.round(Math.random() * longestMs)
        this.test!.title += ` (after ${afterMs} ms)`
        const timer = setTimeout(() => running.kill(signal), afterMs)
        await ended
        clearTimeout(timer)
        let found: readonly string[] = []
        await alpha.until(
          wholeAgainMs,
          () => found.join('; '),
          async () => (found = await left()).length === 0,
        )
        const plan = await hostmesh('drill', name, '--dry-run', '-c', alpha.configPath)
        expect(plan.code, plan.out + plan.err).to.equal(0)
      })
})
