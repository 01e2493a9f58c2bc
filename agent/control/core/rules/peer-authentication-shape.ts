/** PeerAuthentication (security.istio.io): what inbound ports of applications take. */
import * as z from 'zod'
import { labels, oneOf } from './fields.ts'

const mtls = () => z.strictObject({ mode: oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT').optional() })

const isPort = (text: string): boolean => /^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= 65_535

export const peerAuthenticationShape = () =>
  z
    .strictObject({
      selector: z.strictObject({ matchLabels: labels().optional() }).optional(),
      mtls: mtls().optional(),
      portLevelMtls: z.record(z.string(), mtls()).optional(),
    })
    .superRefine((spec, context) => {
      const { portLevelMtls, selector } = spec
      if (portLevelMtls === undefined) return
      for (const port of Object.keys(portLevelMtls)) {
        if (isPort(port)) continue
        const message = `found port ${JSON.stringify(port.slice(0, 80))}, allowed 1 to 65535, of the application itself`
        context.addIssue({ code: 'custom', path: ['portLevelMtls', port], message })
      }
      if (Object.keys(selector?.matchLabels ?? {}).length === 0)
        context.addIssue('found portLevelMtls without a selector, allowed with labels of the workload whose port it is')
    })

export type PeerAuthenticationSpec = z.output<ReturnType<typeof peerAuthenticationShape>>
