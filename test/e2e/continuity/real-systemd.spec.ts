import { BootedMachine, bootTimeoutMs, whatIsMissing } from '../../support/continuity/booted-machine.ts'

const program = 'test/support/continuity/systemd-guest.ts'

describe('on a machine booted with systemd', function () {
  this.timeout(2 * bootTimeoutMs + 30_000)
  let machine: BootedMachine | undefined

  before(async function () {
    const missing = whatIsMissing()
    if (missing !== undefined) {
      this.test!.title += ` (${missing})`
      this.skip()
    }
    machine = new BootedMachine()
    for (const boot of ['first', 'second']) await machine.boot(program, boot)
  })

  after(() => machine?.remove())

  for (const name of [
    'starts, and is started only when it serves',
    'the journal has the fields of each process beside the words',
    'a killed watchdog is started again by systemd and adopts what runs, and nothing is lost',
    'a watchdog that hangs is noticed by systemd and replaced, and nothing is lost',
    'a watchdog that hangs while it starts is replaced when its time is over, and nothing is lost',
    'after the death of every process its sockets come back from the store, with the callers in their queues',
    'systemctl reload is a hot restart that loses nothing',
    'systemctl reload takes up the release that the link leads to now, and loses nothing',
    'a release that does not start is refused by systemctl reload and changes nothing',
    'a bad configuration is refused by systemctl reload and changes nothing',
    'systemctl stop leaves no process, and it starts again',
    'the socket unit opens the shared port before the agent runs, and a caller waits',
    'a center runs as its unit and its example are shipped',
    'comes back after a reboot',
  ])
    it(name, () => machine!.passed(name))
})
