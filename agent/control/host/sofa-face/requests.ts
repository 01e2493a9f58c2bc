/**
 * What SOFARPC's `MeshApiClient` posts, as far as the mesh reads it: JSON whatever its content type says, with fields
 * that other versions add.
 */
import * as z from 'zod'

const name = z.string().min(1).max(512)
const word = z.string().max(512).nullish()

const maxProperties = 64
const maxPropertyCharacters = 16 * 1024

const properties = z
  .record(z.string(), z.string())
  .refine((all) => Object.keys(all).length <= maxProperties, `more than ${maxProperties} entries`)
  .refine(
    (all) =>
      Object.entries(all).reduce((sum, [key, value]) => sum + key.length + value.length, 0) <= maxPropertyCharacters,
    `more than ${maxPropertyCharacters} characters`,
  )

export const applicationRequest = z.object({ appName: word })

export const publishRequest = z.object({
  serviceName: name,
  /** Clients write it as text, or not at all. */
  port: z.coerce.number().int().min(1).max(65_535).nullish(),
  protocolType: word,
  providerMetaInfo: z.object({ appName: word, serializeType: word, properties: properties.nullish() }).nullish(),
})
export type PublishRequest = z.output<typeof publishRequest>

export const serviceRequest = z.object({ serviceName: name, protocolType: word })
export type ServiceRequest = z.output<typeof serviceRequest>

/** Why a body is not what it should be, in one line. */
export function problemOf(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ')
}
