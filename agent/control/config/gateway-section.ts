/** The section `gateway`: what Gateways of the rules may open on this host. A rule alone opens no port. */
import * as z from 'zod'
import { integer, localAddress, port, textMap } from './scalars.ts'

export const gatewaySection = z
  .strictObject({
    labels: textMap().describe('`spec.selector` of a Gateway must match these: `istio: ingressgateway`.'),
    addresses: z
      .array(localAddress())
      .min(1)
      .max(16)
      .prefault(['0.0.0.0'])
      .describe('Where servers listen: the first without `bind`, which must be one of them.'),
    ports: z.array(port()).min(1).max(100).describe('Ports that may be opened; no other part of the agent gets them.'),
    trustedProxies: integer(0, 10)
      .prefault(0)
      .describe(
        'So many proxies stand before this host, whose entries at the end of `x-forwarded-for` are believed; what stands before them is taken away.',
      ),
  })
  .optional()
  .describe('This host is a gateway (`docs/gateways.md`). Absent = no Gateway opens anything here.')

export type GatewaySection = z.output<typeof gatewaySection>
