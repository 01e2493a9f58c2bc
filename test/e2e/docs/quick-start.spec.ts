/** Executes `docs/quick-start.md`, block by block, on two machines: two network namespaces with a link between them. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { entryPoint } from '../../../cli/entry-point.ts'
import { goBeforeOthers } from '../../support/priority.ts'

interface Block {
  readonly machine: 'a' | 'b'
  readonly script: string
  /** What must be among what it prints. */
  readonly output: string | undefined
}

const stepMs = 60_000
const page = 'docs/quick-start.md'

function blocksOf(file: string): readonly { readonly kind: string; readonly text: string }[] {
  return [...readFileSync(file, 'utf8').matchAll(/^```([^\n]*)\n(.*?)^```$/gms)].map(([, kind, text]) => ({
    kind: kind!,
    text: text!,
  }))
}

function stepsOf(file: string): Block[] {
  const steps: Block[] = []
  for (const { kind, text } of blocksOf(file)) {
    if (kind === 'sh a' || kind === 'sh b')
      steps.push({ machine: kind === 'sh a' ? 'a' : 'b', script: text, output: undefined })
    else if (kind === 'output') steps.push({ ...steps.pop()!, output: text })
  }
  return steps
}

/** A shell that lives as long as the page is followed, so that directories, variables and jobs stay. */
class Machine {
  private readonly shell: ChildProcess
  private text = ''
  private count = 0

  constructor(namespace: string, home: string, path: string) {
    this.shell = spawn('ip', ['netns', 'exec', namespace, 'bash', '--norc'], {
      cwd: home,
      env: { ...process.env, HOME: home, PATH: path, LC_ALL: 'C' },
    })
    for (const stream of [this.shell.stdout!, this.shell.stderr!])
      stream.on('data', (chunk: Buffer) => (this.text += chunk.toString()))
  }

  async run(script: string): Promise<string> {
    const mark = `hostmesh-step-${++this.count}`
    this.text = ''
    // each line must succeed: the first failure ends the step, not the shell
    const body = Buffer.from(`set -e\n${script}`).toString('base64')
    this.shell.stdin!.write(`eval "$(echo ${body} | base64 -d)"; echo "${mark} $?"\nset +e\n`)
    const deadline = performance.now() + stepMs
    const end = new RegExp(`${mark} (\\d+)`)
    while (!end.test(this.text)) {
      if (performance.now() > deadline || this.shell.exitCode !== null)
        throw new Error(`not done, or the shell ended:\n${script}\n${this.text}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    if (end.exec(this.text)![1] !== '0') throw new Error(`failed:\n${script}\n${this.text}`)
    return this.text.replace(end, '')
  }

  async close(): Promise<void> {
    if (this.shell.exitCode !== null) return
    const exited = once(this.shell, 'exit')
    this.shell.stdin!.end('exit\n')
    await exited
  }
}

describe('the quick start', function () {
  this.timeout(180_000)
  const id = Math.floor(Math.random() * 65_536)
  const names = { a: `hmqa${id}`, b: `hmqb${id}` }
  let folder: string
  const machines: Partial<Record<'a' | 'b', Machine>> = {}
  let goAsOthers: () => void

  before(function () {
    goAsOthers = goBeforeOthers()
    if (process.getuid?.() !== 0 || spawnSync('ip', ['netns', 'list']).status !== 0) {
      console.log('no second machine: network namespaces need root and ip')
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-quick-start-'))
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    const command = join(bin, 'hostmesh')
    writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${entryPoint('cli/main')}" "$@"\n`)
    chmodSync(command, 0o755)
    const ip = (...words: string[]): void => {
      const { status, stderr } = spawnSync('ip', words, { encoding: 'utf8' })
      if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr}`)
    }
    for (const machine of ['a', 'b'] as const) {
      ip('netns', 'add', names[machine])
      ip('-n', names[machine], 'link', 'set', 'lo', 'up')
      mkdirSync(join(folder, machine), { mode: 0o755 })
    }
    ip('-n', names.a, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', names.b)
    for (const [machine, address] of [
      ['a', '10.77.0.1/24'],
      ['b', '10.77.0.2/24'],
    ] as const) {
      ip('-n', names[machine], 'addr', 'add', address, 'dev', 'eth0')
      ip('-n', names[machine], 'link', 'set', 'eth0', 'up')
      machines[machine] = new Machine(names[machine], join(folder, machine), `${bin}:${process.env['PATH']}`)
    }
  })

  after(async () => {
    goAsOthers()
    for (const machine of Object.values(machines)) await machine.close()
    for (const name of Object.values(names)) {
      const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' })
      for (const pid of (stdout ?? '').split('\n').filter((line) => line !== '')) process.kill(Number(pid), 'SIGKILL')
      spawnSync('ip', ['netns', 'del', name])
    }
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  it('works as it stands there, within its ten minutes', async () => {
    const startedAt = performance.now()
    const steps = stepsOf(page)
    expect(steps.length).to.be.above(8)
    for (const { machine, output, script } of steps) {
      const printed = await machines[machine]!.run(script)
      if (output !== undefined) expect(printed).to.include(output.trim())
    }
    expect(performance.now() - startedAt).to.be.below(120_000)
  })

  it('has the same commands in Chinese', () => {
    expect(blocksOf('docs/zh/quick-start.md')).to.deep.equal(blocksOf(page))
  })
})
