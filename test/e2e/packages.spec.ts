import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BootedMachine, type Step, bootTimeoutMs, whatIsMissing } from '../support/continuity/booted-machine.ts'

const root = join(import.meta.dirname, '../..')

function run(program: string, ...words: string[]): string {
  const done = spawnSync(program, words, { encoding: 'utf8', cwd: root })
  if (done.status !== 0) throw new Error(`${program}: ${done.stdout}${done.stderr}`)
  return done.stdout
}

describe('the Debian package', function () {
  this.timeout(bootTimeoutMs + 180_000)
  let folder: string
  let machine: BootedMachine | undefined
  let steps: Step[] = []

  before(async function () {
    const missing =
      spawnSync('dpkg-deb', ['--version']).error === undefined
        ? whatIsMissing()
        : 'needs dpkg-deb: apt-get install dpkg'
    if (missing !== undefined) {
      this.test!.title += ` (${missing})`
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hm-packages-'))
    run(process.execPath, 'scripts/release/main.ts', '--fast', folder)
    const made = join(
      folder,
      readdirSync(folder).find((name) => name.endsWith('.deb'))!,
    )
    machine = new BootedMachine()
    copyFileSync(made, join(machine.shared, 'first.deb'))
    const tree = join(folder, 'tree')
    run('dpkg-deb', '--raw-extract', made, tree)
    repack(tree, '0.1.1', join(machine.shared, 'second.deb'))
    writeFileSync(join(tree, 'usr/lib/hostmesh/package/agent/worker/start.js'), 'process.exit(13)\n')
    repack(tree, '0.1.2', join(machine.shared, 'broken.deb'))
    await machine.boot('test/support/continuity/package-guest.ts', 'first')
    steps = machine.steps()
  })

  after(() => {
    machine?.remove()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  /** The same package under another version, as if it had been built from another checkout. */
  function repack(tree: string, version: string, target: string): void {
    for (const [file, pattern, word] of [
      ['DEBIAN/control', /^Version: .*$/m, `Version: ${version}`],
      ['DEBIAN/postinst', /^new=.*$/m, `new=$home/releases/${version}-of-a-test`],
    ] as const) {
      const text = readFileSync(join(tree, file), 'utf8')
      expect(text).to.match(pattern)
      writeFileSync(join(tree, file), text.replace(pattern, word))
    }
    run('dpkg-deb', '--root-owner-group', '-Zgzip', '-z1', '--build', tree, target)
  }

  for (const name of [
    'a package installs an account, a manual, completions and an example, and starts nothing',
    'a configured host serves as soon as its unit is started',
    'a disk that is full in the middle of an upgrade leaves what runs as it is',
    'an upgrade of the package is a hot upgrade: nothing is lost, all processes run the new release',
    'a release that does not serve is refused, and the old one serves on',
    'the package before goes in again, and releases that nobody needs are gone',
    'it is not removed while an application is registered, unless that is forced',
    'a purge leaves nothing',
  ]) {
    it(name, () => {
      const step = steps.find((one) => one.name === name)
      expect(step, `the machine did not come so far\n${machine?.log}`).to.not.equal(undefined)
      expect(step!.problem, `${step!.problem}\n${machine?.log}`).to.equal(undefined)
    })
  }
})
