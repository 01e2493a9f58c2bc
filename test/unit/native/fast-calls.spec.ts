import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'

import { fastCallsFlag, untriedReason } from '../../../native/bare-functions.ts'
import { openFastCalls } from '../../../native/fast-calls.ts'
import type { FastCalls } from '../../../native/fast-calls.ts'
import { confined } from '../../support/worker/confined.ts'

describe('calls without a wrapper', () => {
  let calls: FastCalls

  before(() => {
    const { calls: opened, problem } = openFastCalls()
    expect(problem).to.equal(undefined)
    calls = opened!
  })

  it('are for the Node versions and machines that were tried, and no other', () => {
    expect(untriedReason('26.10.0', 'x64', 'linux')).to.equal(undefined)
    for (const [node, machine, platform] of [
      ['26.10.1', 'x64', 'linux'],
      ['26.11.0', 'x64', 'linux'],
      ['26.10.0', 'arm64', 'linux'],
      ['26.10.0', 'x64', 'darwin'],
    ] as const)
      expect(untriedReason(node, machine, platform)).to.be.a('string')
  })

  it('say why they failed in what they answer, which no later call can change', () => {
    const memory = calls.fix(Buffer.alloc(4096))
    const failed: Record<string, number> = {
      recv: calls.recv(-1, memory),
      peek: calls.peek(-1),
      send: calls.send(-1, memory, 0, 1),
      accept: calls.accept(-1),
      close: calls.close(-1),
      splice: calls.splice(-1, -1, 1),
      epollAdd: calls.epollAdd(-1, 0, 0, 0, 0),
      epollChange: calls.epollChange(-1, 0, 0, 0, 0),
      epollRemove: calls.epollRemove(-1, 0),
      epollTake: calls.epollTake(-1),
    }
    for (const [name, result] of Object.entries(failed)) expect(result, name).to.equal(-constants.errno.EBADF)
  })

  it('refuse to send what lies outside of the memory', () => {
    const memory = calls.fix(Buffer.alloc(4096))
    for (const [from, to] of [
      [0, 4097],
      [-1, 10],
      [20, 10],
      [4096, 4097],
      [0, NaN],
    ] as const)
      expect(() => calls.send(-1, memory, from, to), `${from}..${to}`).to.throw(RangeError)
  })

  it('refuse memory that was given away', () => {
    const bytes = Buffer.allocUnsafeSlow(8192)
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    expect(() => calls.fix(bytes)).to.throw()
  })

  it('take short memory out of the heap of the engine, so that it stays where it is', () => {
    const bytes = new Uint8Array(16)
    const at = calls.fix(Buffer.from(bytes.buffer)).address
    for (let round = 0; round < 50; round++) Array.from({ length: 10_000 }, () => ({}))
    expect(calls.fix(Buffer.from(bytes.buffer)).address).to.equal(at)
  })

  describe('in a process', () => {
    let folder: string

    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'hostmesh-fast-calls-'))
      // JavaScript, because an engine that may not make machine code cannot read TypeScript.
      for (const part of ['native', 'contracts']) mkdirSync(join(folder, part))
      const natives = ['bare-functions', 'call-source', 'datagram-batch', 'fast-calls', 'quietly', 'socket-address']
      for (const name of [...natives.map((one) => `native/${one}`), 'contracts/ip-literal']) {
        const source = readFileSync(new URL(`../../../${name}.ts`, import.meta.url), 'utf8')
        writeFileSync(join(folder, `${name}.mjs`), stripTypeScriptTypes(source).replaceAll(".ts'", ".mjs'"))
      }
      writeFileSync(
        join(folder, 'main.mjs'),
        `import { openFastCalls } from './native/fast-calls.mjs'\nconsole.log(openFastCalls().problem ?? 'open')\n`,
      )
    })

    after(() => rmSync(folder, { recursive: true, force: true }))

    const run = ([program = '', ...words]: readonly string[]) =>
      spawnSync(program, words, { encoding: 'utf8' }).stdout.trim()
    const main = (...flags: string[]) => [process.execPath, ...flags, join(folder, 'main.mjs')]

    it('are there with the flag that they need', () => expect(run(main(fastCallsFlag))).to.equal('open'))

    it('are not there without it, and say so', () => {
      expect(run(main())).to.equal(`node was started without ${fastCallsFlag}`)
    })

    it('are not there once node:ffi was loaded', () => {
      expect(run(main(fastCallsFlag, '--disable-warning=ExperimentalWarning', '--import', 'node:ffi'))).to.equal(
        'node:ffi was loaded before',
      )
    })

    it('are not there where a program may make no machine code', () => {
      expect(run(confined('no-new-machine-code', main('--jitless', fastCallsFlag)))).to.equal(
        'recv: no direct call on this system',
      )
    })
  })
})
