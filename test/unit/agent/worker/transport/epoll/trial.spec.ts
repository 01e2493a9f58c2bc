import { expect } from 'chai'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { trial } from '../../../../../../agent/worker/transport/epoll/trial.ts'
import { trialFlag } from '../../../../../../agent/worker/transport/epoll/trial-flag.ts'
import { confined } from '../../../../../support/worker/confined.ts'
import { fastCallsFlag, triedMachines, triedNodes } from '../../../../../../native/bare-functions.ts'

const main = new URL('../../../../../../agent/worker/main.ts', import.meta.url).pathname

describe('the trial of sockets of our own', () => {
  let folder: string
  let file: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-trial-'))
    file = join(folder, 'trial.json')
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const tryWith = (command: readonly string[], facts: { node?: string; machine?: string; file?: string } = {}) =>
    trial({ file, command, node: triedNodes[0]!, machine: triedMachines[0]!, platform: 'linux', ...facts })
  const script = (text: string) => [process.execPath, '-e', text]
  const real = (...flags: string[]) => [process.execPath, ...flags, main, trialFlag]

  it('is passed by the worker itself on this machine, and not run again', async () => {
    expect(await tryWith(real(fastCallsFlag))).to.equal('')
    expect(await tryWith(script('process.exit(7)'))).to.equal('')
  })

  it('is not passed without the flag of Node that the calls need', async () => {
    expect(await tryWith(real())).to.equal(`the self-test failed: node was started without ${fastCallsFlag}`)
  })

  it('is not run at all on a Node one patch newer, or on another machine', async () => {
    const never = script('process.exit(0)')
    expect(await tryWith(never, { node: '26.10.1' })).to.match(/tried on node .*, found 26\.10\.1/)
    expect(await tryWith(never, { machine: 'arm64' })).to.match(/tried on linux x64, found linux arm64/)
  })

  it('is not passed where the system refuses one of the calls, or kills for it', async () => {
    expect(await tryWith(confined('refuse-send', real(fastCallsFlag)))).to.match(/^the self-test failed: /)
    rmSync(file)
    expect(await tryWith(confined('kill-recv', real(fastCallsFlag)))).to.equal('the self-test died of SIGSYS')
  })

  it('is remembered when it dies', async () => {
    expect(await tryWith(script('process.kill(process.pid, "SIGSEGV")'))).to.equal('the self-test died of SIGSEGV')
    expect(await tryWith(real(fastCallsFlag))).to.equal('the self-test died of SIGSEGV')
  })

  it('is run again when Node, machine, kernel or filters are others, or what is remembered cannot be read', async () => {
    const { host, reason } = { host: 'node 1.2.3, x64, 5.4', reason: 'long ago' }
    for (const text of [JSON.stringify({ host, reason }), '{', 'null', '{"host":1}']) {
      writeFileSync(file, text)
      expect(await tryWith(script('console.error("now"); process.exit(1)'))).to.equal('the self-test failed: now')
    }
    expect(readFileSync(file, 'utf8')).to.include('now')
  })

  it('is not remembered when it could not start or was cut, and costs nothing where nothing can be written', async () => {
    expect(await tryWith(['/nowhere/node'])).to.match(/^the self-test did not start/)
    expect(await tryWith(script('process.kill(process.pid, "SIGKILL")'))).to.match(/did not end/)
    expect(await tryWith(script(''), { file: join(folder, 'gone', 'trial.json') })).to.equal('')
    expect(await tryWith(script('console.error("now"); process.exit(1)'))).to.equal('the self-test failed: now')
  })
})
