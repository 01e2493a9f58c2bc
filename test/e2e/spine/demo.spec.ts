import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type { StepResult } from '../../../cli/demo/scenario.ts'
import { needsNacos, startNacos } from '../../support/nacos/server.ts'

interface Verdict {
  readonly kept: boolean
  readonly results: readonly StepResult[]
}

function demoOnce(...argv: string[]): Promise<{ code: number; verdict: Verdict; errors: string }> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['cli/main.ts', 'demo', '--once', '--json', ...argv], (error, out, errors) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : 1
      try {
        const verdict = JSON.parse(out) as Verdict | { results?: undefined }
        if (verdict.results !== undefined) return resolve({ code, verdict, errors })
      } catch {
        // no verdict either
      }
      reject(new Error(`exit ${code}: ${out}${errors}`))
    })
  })
}

describe('the demo', function () {
  this.timeout(180_000)

  it('keeps every promise of its scenario and exits 0', async () => {
    const { code, verdict } = await demoOnce()
    expect(verdict.results.filter((result) => !result.isKept)).to.deep.equal([])
    expect(verdict.results.length).to.be.at.least(9)
    const restart = verdict.results.find(({ step }) => step === 'hot restart of the agent on alpha')!
    expect(restart.found).to.match(/a running call: [1-9]\d* messages before, [1-9]\d* after, none lost/)
    const found = (step: string) => verdict.results.find((result) => result.step === step)!.found
    expect(found('who calls, in mutual TLS')).to.match(/^[1-9]\d* connections to beta in mutual TLS, 0 in plain$/)
    expect(found('a call that a policy denies')).to.equal(
      'web on alpha: 200; anybody on beta: 403 E_AUTHORIZATION_DENIED, rbac_access_denied_matched_policy[none]',
    )
    expect(found('a filter of one’s own')).to.match(/^beta for spiffe:\/\/.*\/sa\/web$/)
    expect(code).to.equal(0)
  })

  it('runs with a real Nacos as well', async function () {
    await needsNacos(this)
    const nacos = await startNacos({})
    try {
      const { code, verdict } = await demoOnce('--nacos', nacos.address)
      expect(verdict.results.filter((result) => !result.isKept)).to.deep.equal([])
      expect(code).to.equal(0)
    } finally {
      await nacos.stop()
    }
  })

  describe('whatever ends it,', () => {
    let directory: string
    let demo: ChildProcess | undefined

    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'hostmesh-demo-test-'))
    })

    afterEach(() => {
      demo?.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    })

    /** Without a terminal; `ready` waits for the traffic, and is what was said until then. */
    function started(): { ready: Promise<string>; exit: Promise<unknown[]> } {
      const env = { ...process.env, TMPDIR: directory }
      const child = spawn(process.execPath, ['cli/hostmesh.js', 'demo'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
      demo = child
      const ready = new Promise<string>((resolve) => {
        let out = ''
        child.stdout.on('data', (bytes: Buffer) => {
          out += bytes.toString()
          if (out.includes('no terminal')) resolve(out)
        })
      })
      return { ready, exit: once(child, 'exit') }
    }

    async function said(command: string): Promise<string> {
      const [file = '', ...argv] = command.split(' ')
      return (await promisify(execFile)(file, argv, { timeout: 20_000 })).stdout
    }

    /** Processes whose command line names the directory. */
    function left(): string[] {
      return readdirSync('/proc').filter((pid) => {
        try {
          return /^[0-9]+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(directory)
        } catch {
          return false
        }
      })
    }

    async function untilNothingIsLeft(): Promise<void> {
      while (left().length > 0 || readdirSync(directory).some((name) => name.startsWith('hostmesh-demo-')))
        await pause(50)
    }

    it('SIGTERM while it runs, with the commands that it names beside it: it stops everything, and exits 0', async () => {
      const { ready, exit } = started()
      const [top, tap] = (await ready).split('\n').filter((line) => line.startsWith('bin/hostmesh '))
      expect(await said(`${top} --once --interval 1s`)).to.match(/^prices\tout\t[1-9][0-9.]*\t0\t/m)
      expect(await said(`${tap} prices --count 2`)).to.match(/prices {2}200.* POST \/demo\.Prices\/Quote /)
      expect(left()).not.to.deep.equal([])
      demo!.kill('SIGTERM')
      expect(await exit).to.deep.equal([0, null])
      expect(left()).to.deep.equal([])
      await untilNothingIsLeft()
    })

    it('SIGHUP while it starts: nothing is left either', async () => {
      const { exit } = started()
      while (left().length === 0) await pause(20)
      demo!.kill('SIGHUP')
      const [code] = (await exit) as [number]
      expect(code).to.equal(1)
      await untilNothingIsLeft()
    })

    it('SIGKILL: what it started is swept up all the same', async () => {
      const { ready, exit } = started()
      await ready
      demo!.kill('SIGKILL')
      await exit
      await untilNothingIsLeft()
      expect(existsSync(directory)).to.equal(true)
    })
  })
})
