/** `center` in `agent.yaml`: the centers that a host falls back to, and those that it reports to. */
import * as z from 'zod'
import { tlsFiles } from '../kinds/tls-files.ts'
import { duration, flag, path, remoteAddress } from './scalars.ts'

const reportsSection = z
  .strictObject({
    servers: z.array(remoteAddress()).min(1).max(16).describe('Their `rulesApi.address`; each is told.'),
    tokenFile: path()
      .optional()
      .describe('File that holds a token of `rulesApi.tokensFile` there: role `host`, `user` the name of this host.'),
    tls: tlsFiles.optional(),
    interval: duration('500ms', '1m')
      .prefault('5s')
      .describe('Pause between reports; below half of `hosts.silentAfter` of the centers.'),
  })
  .optional()
  .describe('Tells centers how this host is (`docs/hosts.md`); absent = nobody is told.')

export const centerSection = z
  .strictObject({
    addresses: z
      .array(remoteAddress())
      .max(64)
      .prefault([])
      .describe('Relay ports of the centers, tried in a per-host shuffled order.'),
    secretFile: path()
      .optional()
      .describe(
        'File with the secret that the centers ask for (`relay.secretFile` there): one line; while it is being changed the new one first, the old one second.',
      ),
    mtls: flag()
      .prefault(false)
      .describe(
        'Centers are called in mutual TLS, as this host, and never in plain; it needs a certificate (`identity`, `tls`), and centers that take it (`relay.mtls`).',
      ),
    reports: reportsSection,
  })
  .prefault({})
  .describe('The centers that an agent falls back to and reports to.')

export type ReportsSection = NonNullable<z.output<typeof centerSection>['reports']>
