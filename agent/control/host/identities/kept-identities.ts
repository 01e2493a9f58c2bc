/**
 * What a host keeps of its identities for the next start, keys included: a 0600 file of the state directory, which
 * nobody but the agent and root can enter. And what `hostmesh join` leaves there for the agent to take up.
 */
import * as z from 'zod'

const kept = z.object({
  id: z.string(),
  /** The leaf first, then its intermediates. PEM. */
  chain: z.string(),
  key: z.string(),
})

const shape = z.object({
  trustDomain: z.string(),
  trustBundle: z.string(),
  /** The host's own first. */
  certificates: z.array(kept).min(1),
})

export type KeptCertificate = z.output<typeof kept>
export type KeptIdentities = z.output<typeof shape>

export const identitiesFormat = 1

/** Undefined for anything that is no such file. */
export function readKept(body: unknown): KeptIdentities | undefined {
  const parsed = shape.safeParse(body)
  return parsed.success ? parsed.data : undefined
}
