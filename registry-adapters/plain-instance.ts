/**
 * An instance as plain JSON, `{"address": "10.0.0.1", "port": 8080, "weight": 1, "metadata": {…}}`: what registries
 * hold that only keep texts.
 */
import { isIP } from 'node:net'
import { z } from 'zod'
import { endpointAt, metadataKeys } from '../contracts/endpoint.ts'
import type { Endpoint } from '../contracts/endpoint.ts'
import type { Registration } from '../contracts/registry-adapter.ts'

/** Larger texts are not read. */
const maxBytes = 65_536
const maxMetadata = 64

const shape = z.object({
  address: z.string().refine((value) => isIP(value) !== 0),
  port: z.int().min(1).max(65_535),
  weight: z.number().min(0).max(10_000).default(1),
  enabled: z.boolean().default(true),
  metadata: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String))
    .refine((value) => Object.keys(value).length <= maxMetadata)
    .default({}),
})

/** undefined = it makes no sense. Never throws. */
export function readPlainInstance(text: Buffer | string): Endpoint | undefined {
  if (text.length > maxBytes) return undefined
  let json: unknown
  try {
    json = JSON.parse(text.toString())
  } catch {
    return undefined
  }
  const parsed = shape.safeParse(json)
  if (!parsed.success) return undefined
  const { address, port, weight, enabled, metadata } = parsed.data
  return endpointAt(address, port, {
    weight,
    enabled,
    version: metadata[metadataKeys.version] ?? '',
    locality: { region: metadata[metadataKeys.region] ?? '', zone: metadata[metadataKeys.zone] ?? '' },
    metadata,
  })
}

export function writePlainInstance({ address, port, weight, metadata }: Registration): string {
  return JSON.stringify({ address, port, weight, metadata })
}
