/** `hosts` in `center.yaml`: what a center makes of the reports of hosts. */
import * as z from 'zod'
import { duration, flag, integer } from '../../agent/control/config/scalars.ts'

export const hostsSection = z
  .strictObject({
    silentAfter: duration('2s', '10m')
      .prefault('10s')
      .describe('A host without a report for so long is silent: its instances are looked at from here.'),
    probeTimeout: duration('100ms', '10s').prefault('1s').describe('Longest wait for an instance of a silent host.'),
    forgetAfter: duration('1m', '8760h').prefault('24h').describe('A host that is silent for so long is forgotten.'),
    maxHosts: integer(1, 100_000).prefault(10_000).describe('Hosts that are kept; a further one is refused.'),
    nacosFace: flag()
      .prefault(false)
      .describe(
        'Nacos clients of a host whose agent is dead are answered here, and what they register is announced by this center.',
      ),
  })
  .prefault({})
  .describe('Hosts that report to this center (`docs/hosts.md`).')

export type HostsConfig = z.output<typeof hostsSection>
