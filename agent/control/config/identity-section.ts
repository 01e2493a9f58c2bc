/** `identity` in `agent.yaml` and in the files of `services.d`: names in certificates. */
import * as z from 'zod'
import { duration, identityPart, path, remoteAddress } from './scalars.ts'

export const identitySection = z
  .strictObject({
    namespace: identityPart()
      .prefault('default')
      .describe('Namespace of applications whose files name none: `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.'),
    authorities: z
      .array(remoteAddress())
      .max(16)
      .prefault([])
      .describe('Certificate authorities of centers (`ca.address` there), asked in this order; see `hostmesh join`.'),
    refresh: duration('1s', '1h').prefault('5m').describe('How often the roots of the authority are asked for.'),
    workloadApi: path()
      .optional()
      .describe('Socket of a SPIRE agent, which gives the certificates instead of a center.'),
  })
  .prefault({})
  .describe('Who this host and its applications are towards others (`docs/identities.md`).')

export const applicationIdentity = z
  .strictObject({
    namespace: identityPart().optional().describe('Absent = `identity.namespace` of the agent.'),
    account: identityPart().optional().describe('Absent = the name of the service.'),
  })
  .optional()
  .describe('Name of the application in certificates, where it is another one (`docs/identities.md`).')
