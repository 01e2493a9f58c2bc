import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildPackages } from '../support/continuity/built-packages.ts'
import { BootedMachine, bootTimeoutMs, whatIsMissing } from '../support/continuity/booted-machine.ts'

describe('the Debian package', function () {
  this.timeout(bootTimeoutMs + 180_000)
  let folder: string
  let machine: BootedMachine | undefined

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
    machine = new BootedMachine()
    buildPackages(folder, machine.shared)
    await machine.boot('test/support/continuity/package-guest.ts', 'first')
  })

  after(() => {
    machine?.remove()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  for (const name of [
    'a package installs an account, a manual, completions and an example, and starts nothing',
    'a configured host serves as soon as its unit is started',
    'a disk that is full in the middle of an upgrade leaves what runs as it is',
    'half a package is refused, and what runs is as it was',
    'dpkg that is killed while it unpacks leaves what runs as it is, and the next run mends it',
    'an upgrade of the package is a hot upgrade: nothing is lost, all processes run the new release',
    'a release that does not serve is refused, and the old one serves on',
    'the package before goes in again, and releases that nobody needs are gone',
    'of an agent and a center on one host each decides for itself, and goes on so when it is started again',
    'it is not removed while an application is registered, unless that is forced',
    'a purge leaves nothing',
  ])
    it(name, () => machine!.passed(name))
})
