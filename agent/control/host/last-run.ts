/**
 * What the state directory remembers of this host's applications and ports. The files passed their checksums, so their
 * shapes are ours.
 */
import type { KeptRegistration } from './applications/registrar.ts'
import type { RememberedPorts } from './listeners/listeners.ts'
import type { ToldService } from './listeners/told-services.ts'

export function rememberedPorts(body: unknown): RememberedPorts {
  const { outbound = {}, inbound = {} } = (body ?? {}) as Partial<RememberedPorts>
  return { outbound, inbound }
}

export function toldServices(body: unknown): ToldService[] {
  return Array.isArray(body) ? (body as ToldService[]) : []
}

export function keptRegistrations(body: unknown): KeptRegistration[] {
  return Array.isArray(body) ? (body as KeptRegistration[]) : []
}
