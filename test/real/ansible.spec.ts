/** A host from nothing to nothing by ansible, on a real systemd: `npm run ansible`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ansibleProgram } from '../support/ansible/played.ts'
import { buildPackages } from '../support/continuity/built-packages.ts'
import { BootedMachine, bootTimeoutMs, whatIsMissing } from '../support/continuity/booted-machine.ts'

describe('the ansible collection on a host', function () {
  const patienceMs = 1_200_000
  this.timeout(patienceMs + bootTimeoutMs)
  let folder: string
  let machine: BootedMachine | undefined

  before(async function () {
    const program = ansibleProgram()
    const missing =
      program === undefined ? 'needs ansible-playbook, not below /tmp: pip install ansible-core' : whatIsMissing()
    if (program === undefined || missing !== undefined) {
      this.test!.title += ` (${missing})`
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hm-ansible-'))
    machine = new BootedMachine(patienceMs)
    buildPackages(folder, machine.shared)
    writeFileSync(join(machine.shared, 'ansible'), program)
    await machine.boot('test/support/ansible/deploy-guest.ts', 'first')
  })

  after(() => {
    machine?.remove()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  for (const name of [
    'a host with nothing gets an agent that serves',
    'doctor finds it whole, and a drill in a unit of its own loses nothing',
    'a second run changes nothing',
    'check mode shows what would change, and changes nothing',
    'ansible dies before the package that it brought is installed: the next run installs it',
    'an upgrade loses nothing',
    'a release that does not serve: the host goes back by itself, and nothing is lost',
    'a configuration behind which the host is not whole: it goes back by itself',
    'one host of a batch is not well: all of it goes back, and later batches are never touched',
    'a configuration that is refused is never written',
    'uninstalling leaves nothing, and a second time changes nothing',
  ])
    it(name, () => machine!.passed(name))
})
