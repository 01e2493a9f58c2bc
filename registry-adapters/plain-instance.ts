/**
 * An instance as plain JSON, `{"address": "10.0.0.1", "port": 8080, "weight": 1, "metadata": {…}}`: what registries
 * hold that only keep texts.
 */
import { z } from 'zod'
import { endpointAt, metadataBounds, metadataKeys } from '../contracts/endpoint.ts'
import type { Endpoint } from '../contracts/endpoint.ts'
import type { Registration } from '../contracts/registry-adapter.ts'
import { addressField, metadataField, portField, readInstanceJson, weightField } from './instance-json.ts'

const shape = z.object({
  address: addressField,
  port: portField,
  weight: weightField.default(1),
  enabled: z.boolean().default(true),
  metadata: metadataField.refine((value) => Object.keys(value).length <= metadataBounds.entries).default({}),
})

/** undefined = it makes no sense. Never throws. */
export function readPlainInstance(text: Buffer | string): Endpoint | undefined {
  const found = readInstanceJson(text, shape)
  if (found === undefined) return undefined
  const { address, port, weight, enabled, metadata } = found
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
