/**
 * One endpoint file: a service and its instances, in YAML or JSON. Strict: everything that is wrong is named with its
 * line, and a file with one problem is not used at all.
 *
 *     service: orders                       # or GROUP@@orders, or namespace/GROUP@@orders
 *     protectThreshold: 0.2                 # 0 to 1, absent = 0
 *     endpoints:
 *       - { address: 10.0.0.1, port: 8080, weight: 1, version: v2, zone: bj-1, metadata: { team: a } }
 */
import { BlockList, isIP } from 'node:net'
import { isNode, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { endpointId, metadataKeys, parseServiceName, serviceKey } from '../../contracts/endpoint.ts'
import type { Endpoint, ServiceKey } from '../../contracts/endpoint.ts'
import { yamlExcess, yamlFault } from '../../contracts/yaml-bounds.ts'

export interface EndpointFile {
  readonly service: ServiceKey
  readonly protectThreshold: number
  /** Sorted by id, unique by id. */
  readonly endpoints: readonly Endpoint[]
}

export type EndpointFileResult =
  | { readonly ok: true; readonly file: EndpointFile }
  /** `file:line: path: what`, at most 20. */
  | { readonly ok: false; readonly problems: readonly string[] }

/** Larger files are refused: 10,000 instances fit several times. */
export const maxEndpointFileBytes = 8 * 1024 * 1024
const maxProblems = 20
const maxEndpoints = 10_000
const tooLong = `too big: expected array to have <=${maxEndpoints} items`
/** 10,000 instances with all their fields and some metadata. */
const endpointFileBounds = { documentNodes: 800_000, nodes: 800_000 }
const maxDepth = 16

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const text = z.string().max(512)

const endpointSchema = z.strictObject({
  address: z.string().refine((value) => isIP(value) !== 0, 'allowed is an IPv4 or IPv6 address, not a name'),
  port: z.int().min(1).max(65_535),
  weight: z.number().min(0).max(10_000).default(1),
  healthy: z.boolean().default(true),
  enabled: z.boolean().default(true),
  cluster: text.default('DEFAULT'),
  version: text.optional(),
  zone: text.optional(),
  region: text.optional(),
  metadata: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String))
    .refine((value) => Object.keys(value).length <= 64, 'allowed are 64 entries')
    .default({}),
})

const fileSchema = z.strictObject({
  service: z
    .string()
    .refine((value) => parseServiceName(value) !== undefined, 'allowed is name, GROUP@@name or namespace/GROUP@@name'),
  protectThreshold: z.number().min(0).max(1).default(0),
  endpoints: z.array(endpointSchema).max(maxEndpoints, tooLong),
})

/** Reads the text of one file. `name` is what problems call it. Never throws. */
export function readEndpointFile(name: string, source: string, allowLoopback: boolean): EndpointFileResult {
  const excess = yamlExcess(source, endpointFileBounds)
  if (excess !== undefined) return { ok: false, problems: [`${name}:${excess.line}: ${excess.message}`] }
  if (isTooLong(source)) return { ok: false, problems: [`${name}:1: endpoints: ${tooLong}`] }
  const counter = new LineCounter()
  const document = parseDocument(source, { lineCounter: counter, prettyErrors: false, uniqueKeys: false })
  const problems: string[] = []
  const report = (offset: number, path: string, what: string): void => {
    if (problems.length < maxProblems)
      problems.push(`${name}:${counter.linePos(offset).line}: ${path === '' ? '' : `${path}: `}${what}`)
  }
  for (const error of document.errors) report(error.pos[0], '', `cannot be parsed: ${error.message.split('\n')[0]}`)
  const fault = yamlFault(document.contents, maxDepth)
  if (fault !== undefined)
    report(isNode(fault.node) && fault.node.range ? fault.node.range[0] : 0, '', `cannot be parsed: ${fault.message}`)
  if (problems.length > 0) return { ok: false, problems }

  const positionOf = (path: readonly PropertyKey[]): number => {
    for (let length = path.length; length > 0; length--) {
      const node: unknown = document.getIn(path.slice(0, length), true)
      if (isNode(node) && node.range) return node.range[0]
    }
    return 0
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    report(0, '', `cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return { ok: false, problems }
  }
  const parsed = fileSchema.safeParse(value)
  if (!parsed.success) {
    for (const issue of parsed.error.issues) report(positionOf(issue.path), pathText(issue.path), describe(issue))
    return { ok: false, problems }
  }
  const endpoints = new Map<string, Endpoint>()
  for (const [index, item] of parsed.data.endpoints.entries()) {
    const path = ['endpoints', index]
    const endpoint = toEndpoint(item)
    const id = endpointId(endpoint)
    if (endpoints.has(id)) report(positionOf(path), pathText(path), `${id} is there twice`)
    const isLoopback = loopback.check(endpoint.address, endpoint.address.includes(':') ? 'ipv6' : 'ipv4')
    if (isLoopback && !allowLoopback)
      report(positionOf(path), pathText(path), `${id} is a loopback address, which is not allowed here`)
    endpoints.set(id, endpoint)
  }
  if (problems.length > 0) return { ok: false, problems }
  return {
    ok: true,
    file: {
      service: serviceKey(parseServiceName(parsed.data.service)!),
      protectThreshold: parsed.data.protectThreshold,
      endpoints: [...endpoints.keys()].sort().map((id) => endpoints.get(id)!),
    },
  }
}

/**
 * Whether a JSON text lists too many instances. Asked first, since composing what is thrown away then would hold
 * control up for seconds; what is no JSON, or anything else, is judged with its line later.
 */
function isTooLong(source: string): boolean {
  if (!/^\s*\{/.test(source)) return false
  try {
    const { endpoints } = JSON.parse(source) as { readonly endpoints?: unknown }
    return Array.isArray(endpoints) && endpoints.length > maxEndpoints
  } catch {
    return false
  }
}

function toEndpoint(item: z.output<typeof endpointSchema>): Endpoint {
  const { version, zone, region, ...rest } = item
  const metadata = {
    ...item.metadata,
    ...(version === undefined ? {} : { [metadataKeys.version]: version }),
    ...(zone === undefined ? {} : { [metadataKeys.zone]: zone }),
    ...(region === undefined ? {} : { [metadataKeys.region]: region }),
  }
  return {
    ...rest,
    ephemeral: false,
    locality: { region: metadata[metadataKeys.region] ?? '', zone: metadata[metadataKeys.zone] ?? '' },
    version: metadata[metadataKeys.version] ?? '',
    metadata,
  }
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`))
    .join('')
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `unknown ${issue.keys.map((key) => `"${key}"`).join(', ')}`
  const message = issue.message
  return message.charAt(0).toLowerCase() + message.slice(1)
}
