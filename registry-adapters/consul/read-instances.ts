/**
 * What `/v1/health/service/NAME` says, as endpoints. Source: HTTP API of Consul 1.16, "Health", "List service
 * instances".
 */
import { isIP } from 'node:net'
import { z } from 'zod'
import { endpointAt, metadataKeys } from '../../contracts/endpoint.ts'
import type { Endpoint } from '../../contracts/endpoint.ts'
import type { KnownInstances } from '../known-instances.ts'

const text = z.string().max(4096)
const texts = z.record(z.string(), z.string()).nullish()

const instanceShape = z.object({
  Node: z.object({ Address: text.nullish(), Meta: texts }).nullish(),
  Service: z.object({
    Address: text.nullish(),
    Port: z.int().min(1).max(65_535),
    Tags: z.array(text).nullish(),
    Meta: texts,
    Weights: z.object({ Passing: z.number().min(0), Warning: z.number().min(0) }).nullish(),
    Locality: z.object({ Region: text.nullish(), Zone: text.nullish() }).nullish(),
  }),
  Checks: z.array(z.object({ CheckID: text.nullish(), Status: text })).nullish(),
})

/** Set on a node or a service by an operator: no traffic wanted. */
const maintenance = /^_(node|service)_maintenance/

export interface ReadInstances {
  readonly endpoints: Endpoint[]
  /** Entries that make no sense. */
  readonly refused: number
}

/**
 * At most `most` entries are looked at; the others count as refused. `known`: of the same service, from answer to
 * answer. undefined = the answer is no list. Never throws.
 */
export function readInstances(json: unknown, most: number, known: KnownInstances): ReadInstances | undefined {
  if (!Array.isArray(json)) return undefined
  const items: readonly unknown[] = json.slice(0, most)
  const endpoints = known.list((one) =>
    items.flatMap((item) => {
      const text = textOf(item)
      return text === undefined ? [] : (one(text, '', () => readInstance(item)) ?? [])
    }),
  )
  return { endpoints, refused: json.length - endpoints.length }
}

/** Undefined = nested deeper than anything that Consul says. */
function textOf(item: unknown): string | undefined {
  try {
    return JSON.stringify(item)
  } catch {
    return undefined
  }
}

function readInstance(item: unknown): Endpoint | undefined {
  const parsed = instanceShape.safeParse(item)
  if (!parsed.success) return undefined
  const { Node: node, Service: service, Checks: checks } = parsed.data
  const address = service.Address || node?.Address || ''
  if (isIP(address) === 0) return undefined
  const metadata = metadataOf(service.Tags ?? [], service.Meta ?? {})
  const states = (checks ?? []).map(({ Status: status }) => status)
  const isWarning = states.includes('warning')
  const isInMaintenance = (checks ?? []).some(({ CheckID: id }) => maintenance.test(id ?? ''))
  const weight = (isWarning ? service.Weights?.Warning : service.Weights?.Passing) ?? 1
  return endpointAt(address, service.Port, {
    weight: Math.min(weight, 10_000),
    // a warning is a reason for less weight, not for none
    healthy: states.every((state) => state === 'passing' || state === 'warning'),
    enabled: !isInMaintenance,
    version: metadata[metadataKeys.version] ?? '',
    locality: {
      region: service.Locality?.Region ?? metadata['region'] ?? node?.Meta?.['region'] ?? '',
      zone: service.Locality?.Zone ?? metadata['zone'] ?? node?.Meta?.['zone'] ?? '',
    },
    metadata,
  })
}

/** Tags are labels, too: `key=value` as it stands, a bare one as `tag.NAME: "true"`. Meta wins. At most 64 in all. */
function metadataOf(tags: readonly string[], meta: Readonly<Record<string, string>>): Record<string, string> {
  const metadata: Record<string, string> = {}
  let left = 64
  const add = (key: string, value: string): void => {
    if (key === '' || key === '__proto__' || (left <= 0 && !(key in metadata))) return
    if (!Object.hasOwn(metadata, key)) left--
    metadata[key] = value
  }
  // Consul's keys have no dots: ours are written with `__` in their place
  for (const [key, value] of Object.entries(meta))
    add(key.startsWith('hostmesh__') ? key.replaceAll('__', '.') : key, value)
  for (const tag of tags) {
    const at = tag.indexOf('=')
    const key = at > 0 ? tag.slice(0, at) : `tag.${tag}`
    if (!Object.hasOwn(metadata, key)) add(key, at > 0 ? tag.slice(at + 1) : 'true')
  }
  return metadata
}
