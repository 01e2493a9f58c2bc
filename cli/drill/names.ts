/** Apart from the drills themselves, so that the help text costs nothing. */
export const drillNames = [
  'kill-worker',
  'kill-agent',
  'hang-agent',
  'kill-watchdog',
  'kill-center',
  'cut-registry',
  'bad-config',
  'bad-upgrade',
] as const

export type DrillName = (typeof drillNames)[number]
