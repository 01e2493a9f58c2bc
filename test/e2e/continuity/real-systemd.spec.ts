import { expect } from 'chai'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Step {
  readonly boot: string
  readonly name: string
  readonly problem?: string
}

const root = join(import.meta.dirname, '../../..')
/** Where the machine sees this checkout, wherever it lies here: systemd mounts a /tmp of its own. */
const guestRoot = '/srv/hostmesh-checkout'
const bootTimeoutMs = 180_000

/**
 * A machine whose root is an overlay of ours: same programs, its own changes, its own network, booted with its own
 * systemd.
 */
describe('on a machine booted with systemd', function () {
  this.timeout(2 * bootTimeoutMs + 30_000)
  let folder: string
  let steps: Step[] = []
  const logs: string[] = []

  before(async function () {
    const missing = whatIsMissing()
    if (missing !== undefined) {
      this.test!.title += ` (${missing})`
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hm-systemd-'))
    mount('-t', 'tmpfs', 'none', folder)
    for (const name of ['upper', 'work', 'root', 'results']) mkdirSync(join(folder, name))
    mount(
      '-t',
      'overlay',
      'overlay',
      '-o',
      `lowerdir=/,upperdir=${folder}/upper,workdir=${folder}/work`,
      join(folder, 'root'),
    )
    for (const boot of ['first', 'second']) await bootOnce(boot)
    steps = readFileSync(join(folder, 'results/steps'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Step)
  })

  after(() => {
    if (folder === undefined) return
    spawnSync('umount', [join(folder, 'root')])
    spawnSync('umount', [folder])
    rmSync(folder, { recursive: true, force: true })
  })

  for (const name of [
    'starts, and is started only when it serves',
    'a killed watchdog is started again by systemd and adopts what runs, and nothing is lost',
    'a watchdog that hangs is noticed by systemd and replaced, and nothing is lost',
    'after the death of every process its sockets come back from the store, with the callers in their queues',
    'systemctl reload is a hot restart that loses nothing',
    'systemctl reload takes up the release that the link leads to now, and loses nothing',
    'a release that does not start is refused by systemctl reload and changes nothing',
    'a bad configuration is refused by systemctl reload and changes nothing',
    'systemctl stop leaves no process, and it starts again',
    'the socket unit opens the shared port before the agent runs, and a caller waits',
    'a center runs as its unit and its example are shipped',
    'comes back after a reboot',
  ]) {
    it(name, () => {
      const step = steps.find((one) => one.name === name)
      expect(step, `the machine did not come so far\n${logs.join('\n')}`).to.not.equal(undefined)
      expect(step!.problem, [step!.problem, ...logs].join('\n')).to.equal(undefined)
    })
  }

  async function bootOnce(boot: string): Promise<void> {
    const unit = join(folder, 'hm-test.service')
    const program = [`${guestRoot}/node_modules/.bin/node`, `${guestRoot}/test/support/continuity/systemd-guest.ts`]
    writeFileSync(
      unit,
      `[Unit]
After=multi-user.target
Wants=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=170
ExecStart=${program.join(' ')} /results/steps ${boot}
ExecStopPost=/bin/systemctl poweroff
`,
    )
    const words = [
      '--directory',
      join(folder, 'root'),
      '--boot',
      '--private-network',
      '--register=no',
      '--keep-unit',
      '--link-journal=no',
      '--console=pipe',
      `--bind=${folder}/results:/results`,
      `--bind-ro=${root}:${guestRoot}`,
      `--bind-ro=${unit}:/etc/systemd/system/hm-test.service`,
      'systemd.unit=hm-test.service',
    ]
    const machine = spawn('systemd-nspawn', words, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    machine.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()))
    machine.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()))
    const timer = setTimeout(() => machine.kill('SIGKILL'), bootTimeoutMs)
    await new Promise((resolve) => machine.once('close', resolve))
    clearTimeout(timer)
    logs.push(`${boot} boot: ${output.slice(-3000)}`)
    const journal = join(folder, `results/steps.${boot}.log`)
    if (existsSync(journal)) logs.push(readFileSync(journal, 'utf8').slice(-6000))
  }
})

function mount(...words: string[]): void {
  const run = spawnSync('mount', words, { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(run.stderr)
}

/** By name, what this machine lacks for the test. */
function whatIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root'
  if (spawnSync('systemd-nspawn', ['--version']).error !== undefined)
    return 'needs systemd-nspawn: apt-get install systemd-container'
  if (!existsSync(join(root, 'node_modules/.bin/node')))
    return 'needs node_modules/.bin/node, which the units start: npm ci of npm 11'
  if (!existsSync('/lib/systemd/systemd')) return 'needs systemd: apt-get install systemd'
  const folder = mkdtempSync(join(tmpdir(), 'hm-overlay-'))
  try {
    mount('-t', 'tmpfs', 'none', folder)
    for (const name of ['u', 'w', 'r']) mkdirSync(join(folder, name))
    mount('-t', 'overlay', 'overlay', '-o', `lowerdir=/,upperdir=${folder}/u,workdir=${folder}/w`, join(folder, 'r'))
    return undefined
  } catch (error) {
    return `needs overlay mounts: ${(error as Error).message.trim()}`
  } finally {
    spawnSync('umount', [join(folder, 'r')])
    spawnSync('umount', [folder])
    rmSync(folder, { recursive: true, force: true })
  }
}
