/** The unit of the watchdog, as systemd knows it. */
import { hasServiceManager, isSystemdHost, printed, properties, unitOf } from '../service-manager.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

const programTimeoutMs = 2000
/** Restarts by systemd that nobody has to explain. */
const usualRestarts = 3

export async function unitFindings({ config, watchdog, command }: Facts): Promise<Finding[]> {
  if (!isSystemdHost())
    return [
      { link: 'unit', state: 'skipped', says: 'systemd does not run this machine: somebody else starts the watchdog' },
    ]
  const pid = watchdog.kind === 'answer' ? watchdog.value.pid : undefined
  if (pid !== undefined && process.getuid?.() === 0 && !hasServiceManager(pid))
    return [{ link: 'unit', state: 'skipped', says: `watchdog ${pid} was not started by systemd` }]
  const unit =
    (pid === undefined ? undefined : unitOf(pid)) ??
    (config?.role === 'center' ? 'hostmesh-center.service' : 'hostmesh.service')
  const names = 'LoadState,ActiveState,SubState,Result,NRestarts'
  const shown = await printed('systemctl', ['show', '--property', names, unit], programTimeoutMs)
  if (shown === undefined)
    return [
      {
        link: 'unit',
        state: 'unknown',
        says: `systemctl does not answer about ${unit}`,
        proof: `systemctl show ${unit}: nothing in ${programTimeoutMs} ms`,
        next: `systemctl status ${unit}; journalctl -b -n 50`,
      },
    ]
  const of = properties(shown)
  const proof = `systemctl show ${unit}: ${[...of.values()].join(', ')}`
  if (of.get('LoadState') !== 'loaded')
    return [
      {
        link: 'unit',
        state: 'bad',
        says: `there is no unit ${unit}`,
        proof,
        next: 'install the package, or copy the unit: docs/systemd.md',
      },
    ]
  if (of.get('ActiveState') !== 'active') {
    const last = await printed('journalctl', ['-u', unit, '-n', '3', '-o', 'cat', '--no-pager'], programTimeoutMs)
    const why = of.get('Result') === 'success' ? 'nobody started it' : `its last end was: ${of.get('Result')}`
    return [
      {
        link: 'unit',
        state: 'bad',
        says: `${unit} is ${of.get('ActiveState')}: ${why}`,
        proof: [
          proof,
          ...(last ?? '')
            .trim()
            .split('\n')
            .filter((line) => line !== ''),
        ].join('\n'),
        next: `${command('check')} && systemctl start ${unit}; then journalctl -u ${unit} -n 100`,
      },
    ]
  }
  const restarts = Number(of.get('NRestarts') ?? 0)
  if (restarts > usualRestarts)
    return [
      {
        link: 'unit',
        state: 'warning',
        says: `${unit} was restarted ${restarts} times by systemd`,
        proof,
        next: `journalctl -u ${unit} -p warning -n 100`,
      },
    ]
  return [{ link: 'unit', state: 'good', says: `${unit} is active`, proof }]
}
