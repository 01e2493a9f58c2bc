/** Apart from the drills themselves, so that the help text costs nothing. */
import { drillFaults } from '../../contracts/drill-fault.ts'

export const drillNames = [
  'kill-worker',
  'kill-control',
  'kill-agent',
  'hang-agent',
  'kill-watchdog',
  'kill-center',
  'cut-center',
  ...drillFaults,
  'certificate-expiry',
  'kill-application',
  'slow-upstream',
  'cut-host',
  'overload',
  'hot-restart',
  'bad-config',
  'bad-upgrade',
] as const

export type DrillName = (typeof drillNames)[number]
