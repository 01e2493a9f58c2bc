/** Lines of the documentation that need a whole machine, on one that was booted with its own systemd. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BootedMachine, bootTimeoutMs, whatIsMissing } from '../../support/continuity/booted-machine.ts'
import { buildReleases } from '../../support/continuity/built-packages.ts'
import { machineLines } from '../../support/docs/machine-lines.ts'

describe('commands of the documentation that need a machine', function () {
  this.timeout(bootTimeoutMs + 120_000)
  let folder: string
  let machine: BootedMachine | undefined

  before(async function () {
    const missing = ['dpkg-deb', 'apt', 'curl', 'kubectl', 'openssl'].find(
      (program) => spawnSync(program, ['--help']).error !== undefined,
    )
    const why = missing === undefined ? whatIsMissing() : `needs ${missing}`
    if (why !== undefined) {
      this.test!.title += ` (${why})`
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hm-documents-'))
    machine = new BootedMachine()
    buildReleases(folder, machine.shared)
    await machine.boot('test/support/docs/docs-guest.ts', 'first')
  })

  after(() => {
    machine?.remove()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  for (const { line } of machineLines) it(line, () => machine!.passed(line))
})
