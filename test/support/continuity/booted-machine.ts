/**
 * A machine booted with its own systemd: an overlay over this one's root, so the same programs, with changes and a
 * network of its own. It runs one program of this checkout, which writes a JSON line per step, and is gone when that
 * ends.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { MachineRoot } from './machine-root.ts'

interface Step {
  readonly boot: string
  readonly name: string
  readonly problem?: string
}

const root = join(import.meta.dirname, '../../..')
/** Where the machine sees this checkout, wherever it lies here: systemd mounts a /tmp of its own. */
const guestRoot = '/srv/hostmesh-checkout'
export const bootTimeoutMs = 240_000
/** Of that, to boot and to power off. */
const besideMs = 10_000

export class BootedMachine {
  private readonly base: MachineRoot
  private readonly logs: string[] = []
  private readonly timeoutMs: number

  /** `whatIsMissing` must have answered undefined. */
  constructor(timeoutMs = bootTimeoutMs) {
    this.timeoutMs = timeoutMs
    this.base = new MachineRoot()
    mkdirSync(this.shared)
  }

  /** Files put here lie in `/results` of the machine. */
  get shared(): string {
    return join(this.base.folder, 'results')
  }

  /**
   * Boots, runs `program` (below the checkout) with the words `/results/steps BOOT`, and waits until the machine is
   * off.
   */
  async boot(program: string, boot: string): Promise<void> {
    const unit = join(this.base.folder, 'hm-test.service')
    const words = [`${guestRoot}/node_modules/.bin/node`, `${guestRoot}/${program}`, '/results/steps', boot]
    writeFileSync(
      unit,
      `[Unit]
After=multi-user.target
Wants=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=${(this.timeoutMs - besideMs) / 1000}
ExecStart=${words.join(' ')}
ExecStopPost=/bin/systemctl poweroff
`,
    )
    const machine = spawn(
      'systemd-nspawn',
      [
        '--directory',
        this.base.root,
        '--boot',
        '--private-network',
        '--register=no',
        '--keep-unit',
        '--link-journal=no',
        '--console=pipe',
        `--bind=${this.shared}:/results`,
        `--bind-ro=${root}:${guestRoot}`,
        `--bind-ro=${unit}:/etc/systemd/system/hm-test.service`,
        'systemd.unit=hm-test.service',
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let output = ''
    machine.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()))
    machine.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()))
    const timer = setTimeout(() => machine.kill('SIGKILL'), this.timeoutMs)
    await new Promise((resolve) => machine.once('close', resolve))
    clearTimeout(timer)
    this.logs.push(`${boot} boot: ${output.slice(-3000)}`)
    const journal = join(this.shared, `steps.${boot}.log`)
    if (existsSync(journal)) this.logs.push(readFileSync(journal, 'utf8').slice(-6000))
  }

  /** Throws for a step that failed, or to which the machine did not come. */
  passed(name: string): void {
    // what the machine and the unit said
    const log = this.logs.join('\n')
    const step = this.steps().find((one) => one.name === name)
    expect(step, `the machine did not come so far\n${log}`).to.not.equal(undefined)
    expect(step!.problem, `${step!.problem}\n${log}`).to.equal(undefined)
  }

  remove(): void {
    this.base.remove()
  }

  private steps(): Step[] {
    const file = join(this.shared, 'steps')
    if (!existsSync(file)) return []
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    return lines.map((line) => JSON.parse(line) as Step)
  }
}

/** By name, what this machine lacks for the test. */
export function whatIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root'
  if (spawnSync('systemd-nspawn', ['--version']).error !== undefined)
    return 'needs systemd-nspawn: apt-get install systemd-container'
  if (!existsSync(join(root, 'node_modules/.bin/node')))
    return 'needs node_modules/.bin/node, which the units start: npm ci of npm 11'
  if (!existsSync('/lib/systemd/systemd')) return 'needs systemd: apt-get install systemd'
  try {
    new MachineRoot().remove()
    return undefined
  } catch (error) {
    return `needs overlay mounts: ${(error as Error).message.trim()}`
  }
}
