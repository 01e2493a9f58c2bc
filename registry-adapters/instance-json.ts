/** Instances that a registry holds as JSON texts: how they are read, and the fields that all forms of them have. */
import { isIP } from 'node:net'
import { z } from 'zod'

/** Larger texts are not read. */
const maxBytes = 65_536

export const addressField = z.string().refine((value) => isIP(value) !== 0)
export const portField = z.int().min(1).max(65_535)
export const weightField = z.number().min(0).max(10_000)
/** Scalars, as texts. */
export const metadataField = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean()]).transform((value) => String(value)),
)

/** undefined = it is too long, no JSON, or has another shape. Never throws. */
export function readInstanceJson<Found>(text: Buffer | string, shape: z.ZodType<Found>): Found | undefined {
  if (text.length > maxBytes) return undefined
  try {
    return shape.safeParse(JSON.parse(text.toString())).data
  } catch {
    return undefined
  }
}
