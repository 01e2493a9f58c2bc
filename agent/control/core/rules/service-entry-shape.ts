/** Istio's ServiceEntry (networking.istio.io/v1), every field of it: implemented, or refused by name. */
import { isIP } from 'node:net'
import * as z from 'zod'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import { hostOrWildcard, integer, labels, leaf, nonEmptyList, notImplemented, oneOf, port, text } from './fields.ts'

/** Protocols of the mesh by Istio's words; TLS passes as it is. */
export const entryProtocols: Readonly<Record<string, AppProtocol>> = {
  HTTP: 'http',
  TCP: 'tcp',
  TLS: 'tcp',
  HTTPS: 'tcp',
  MONGO: 'tcp',
}

const address = () =>
  leaf('an IP address or a host name', (value) => {
    if (typeof value !== 'string' || value.length > 253) return undefined
    return isIP(value) !== 0 || /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9_-]+)*\.?$/.test(value)
      ? value
      : undefined
  })

const endpoint = () =>
  z.strictObject({
    address: address(),
    ports: z.record(text(1, 256), port()).optional(),
    labels: labels().optional(),
    locality: leaf('region, region/zone or region/zone/sub-zone', (value) =>
      typeof value === 'string' && /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+){0,2}$/.test(value) ? value : undefined,
    ).optional(),
    weight: integer(0, 10_000).optional(),
    network: notImplemented(),
    serviceAccount: notImplemented(),
  })

export const serviceEntryShape = z
  .strictObject({
    hosts: nonEmptyList(hostOrWildcard(), 200),
    ports: nonEmptyList(
      z.strictObject({
        number: port(),
        name: text(1, 256),
        protocol: oneOf('HTTP', 'TCP', 'TLS', 'HTTPS', 'MONGO').optional(),
        targetPort: port().optional(),
      }),
      100,
    ),
    location: oneOf('MESH_EXTERNAL', 'MESH_INTERNAL').optional(),
    resolution: oneOf('STATIC', 'DNS', 'DNS_ROUND_ROBIN'),
    endpoints: nonEmptyList(endpoint(), 4096).optional(),
    addresses: notImplemented('applications dial the localhost port of the service'),
    workloadSelector: notImplemented(),
    exportTo: notImplemented(),
    subjectAltNames: notImplemented(),
  })
  .superRefine((spec, context) => {
    const names = new Set(spec.ports.map((one) => one.name))
    if (names.size < spec.ports.length)
      context.addIssue({ code: 'custom', path: ['ports'], message: 'port names are unique' })
    const protocols = new Set(spec.ports.map((one) => entryProtocols[one.protocol ?? 'TCP']))
    if (protocols.size > 1) {
      const message =
        'HTTP and other protocols in one entry are not implemented by this version; use one entry for each'
      context.addIssue({ code: 'custom', path: ['ports'], message })
    }
    if (spec.resolution === 'STATIC' && spec.endpoints === undefined) {
      context.addIssue({ code: 'custom', path: ['endpoints'], message: 'resolution STATIC needs endpoints' })
    }
    if (spec.endpoints === undefined && spec.hosts.some((host) => host.startsWith('*'))) {
      context.addIssue({ code: 'custom', path: ['hosts'], message: 'a wildcard host needs endpoints' })
    }
    spec.endpoints?.forEach((one, index) => {
      if (spec.resolution === 'STATIC' && isIP(one.address) === 0) {
        const message = `${one.address} is no IP address; with resolution DNS a name is allowed`
        context.addIssue({ code: 'custom', path: ['endpoints', index, 'address'], message })
      }
      for (const name of Object.keys(one.ports ?? {})) {
        if (!names.has(name)) {
          const message = `the entry has no port of that name, allowed ${[...names].join(', ')}`
          context.addIssue({ code: 'custom', path: ['endpoints', index, 'ports', name], message })
        }
      }
    })
  })

export type ServiceEntrySpec = z.output<typeof serviceEntryShape>
