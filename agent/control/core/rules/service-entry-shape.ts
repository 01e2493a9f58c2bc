/**
 * Istio's ServiceEntry and WorkloadEntry (networking.istio.io/v1), every field of them: implemented, or refused by
 * name.
 */
import { isIP } from 'node:net'
import * as z from 'zod'
import { rpcProtocols } from '../../../../contracts/protocols.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import {
  asDoneAnyway,
  exportTo,
  hostOrWildcard,
  integer,
  labels,
  leaf,
  networks,
  nonEmptyList,
  notImplemented,
  oneOf,
  port,
  text,
} from './fields.ts'

/** Protocols of the mesh by Istio's words, in any case; TLS passes as it is. */
const entryProtocols: Readonly<Record<string, AppProtocol>> = {
  HTTP: 'http',
  'GRPC-WEB': 'grpc',
  HTTP2: 'http2',
  GRPC: 'grpc',
  TCP: 'tcp',
  TLS: 'tcp',
  HTTPS: 'tcp',
  MONGO: 'tcp',
  MYSQL: 'tcp',
  REDIS: 'tcp',
  ...Object.fromEntries(rpcProtocols.map((name) => [name.toUpperCase(), name])),
}

const protocol = () =>
  leaf(Object.keys(entryProtocols).join(', '), (value) =>
    typeof value === 'string' && Object.hasOwn(entryProtocols, value.toUpperCase()) ? value.toUpperCase() : undefined,
  )

const address = () =>
  leaf('an IP address or a host name; unix sockets are not implemented', (value) => {
    if (typeof value !== 'string' || value.length > 253) return undefined
    return isIP(value) !== 0 || /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9_-]+)*\.?$/.test(value)
      ? value
      : undefined
  })

const endpointFields = () => ({
  ports: z.record(text(1, 256), port()).optional(),
  labels: labels().optional(),
  locality: leaf('region, region/zone or region/zone/sub-zone', (value) =>
    typeof value === 'string' && /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+){0,2}$/.test(value) ? value : undefined,
  ).optional(),
  weight: integer(0, 10_000).optional(),
  network: notImplemented('endpoints are reached directly, whatever their network'),
  serviceAccount: notImplemented('callers and endpoints have no certificates yet'),
})

const endpoint = () => z.strictObject({ address: address(), ...endpointFields() })

export const workloadEntryShape = () => z.strictObject({ address: address(), ...endpointFields() })

export type WorkloadEntrySpec = z.output<ReturnType<typeof workloadEntryShape>>

export const serviceEntryShape = () =>
  z
    .strictObject({
      hosts: nonEmptyList(hostOrWildcard(), 200),
      addresses: networks().optional(),
      ports: nonEmptyList(
        z.strictObject({
          number: port(),
          name: text(1, 256).optional(),
          protocol: protocol().optional(),
          targetPort: port().optional(),
        }),
        100,
      ),
      location: asDoneAnyway('endpoints are called without TLS either way', 'MESH_EXTERNAL', 'MESH_INTERNAL'),
      resolution: oneOf('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS').optional(),
      endpoints: nonEmptyList(endpoint(), 4096).optional(),
      workloadSelector: z.strictObject({ labels: labels() }).optional(),
      exportTo: exportTo(),
      subjectAltNames: notImplemented('endpoints are called without TLS; the application checks the names'),
    })
    .superRefine((spec, context) => {
      const issue = (path: PropertyKey[], message: string): void => {
        context.addIssue({ code: 'custom', path, message })
      }
      const names = new Set(spec.ports.map((one, index) => portName(one, index)))
      if (names.size < spec.ports.length) issue(['ports'], 'port names are unique')
      const numbers = new Set(spec.ports.map((one) => one.number))
      if (numbers.size < spec.ports.length) issue(['ports'], 'port numbers are unique')
      if (spec.endpoints !== undefined && spec.workloadSelector !== undefined)
        issue(['workloadSelector'], 'found both endpoints and workloadSelector, allowed one of them')
      const hasPlaces = spec.endpoints !== undefined || spec.workloadSelector !== undefined
      const plainAddresses = (spec.addresses ?? []).filter((one) => isIP(one) !== 0)
      if (spec.resolution === 'STATIC' && !hasPlaces && plainAddresses.length === 0)
        issue(['endpoints'], 'resolution STATIC needs endpoints, a workloadSelector or addresses')
      spec.hosts.forEach((host, index) => {
        if (host === '*') issue(['hosts', index], 'found "*", allowed a host or *.suffix')
      })
      spec.endpoints?.forEach((one, index) => {
        if (spec.resolution === 'STATIC' && isIP(one.address) === 0)
          issue(
            ['endpoints', index, 'address'],
            `${one.address} is no IP address; with resolution DNS a name is allowed`,
          )
        for (const name of Object.keys(one.ports ?? {})) {
          if (!names.has(name))
            issue(
              ['endpoints', index, 'ports', name],
              `the entry has no port of that name, allowed ${[...names].join(', ')}`,
            )
        }
      })
    })

export type ServiceEntrySpec = z.output<ReturnType<typeof serviceEntryShape>>

/** A port without a name goes by its place. */
export function portName(one: { readonly name?: string | undefined }, index: number): string {
  return one.name ?? `port[${index}]`
}

/**
 * Of a port that does not say it, its name does, as in Istio: `grpc`, `grpc-web-ui`, `http2-x`. Without either it is
 * TCP.
 */
export function portProtocol(one: ServiceEntrySpec['ports'][number]): AppProtocol {
  if (one.protocol !== undefined) return entryProtocols[one.protocol] ?? 'tcp'
  const name = (one.name ?? '').toUpperCase()
  const word = name.split('-')[0]!
  return Object.hasOwn(entryProtocols, word) ? entryProtocols[word]! : 'tcp'
}
