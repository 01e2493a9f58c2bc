/** A registration as logs name it, and as it is compared. */
import { endpointId } from '../contracts/endpoint.ts'
import type { LogFields, Registration } from '../contracts/registry-adapter.ts'

/** Fields of a log line about it. */
export function registrationWords(registry: string, registration: Registration): LogFields {
  const { service } = registration
  return { registry, service: `${service.group}@@${service.name}`, instance: endpointId(registration) }
}

/** Whether a registry that was told `left` need not be told `right`. Both are the same instance. */
export function isSameRegistration(left: Registration, right: Registration): boolean {
  return (
    left.weight === right.weight &&
    left.healthy === right.healthy &&
    left.enabled === right.enabled &&
    JSON.stringify(left.metadata) === JSON.stringify(right.metadata)
  )
}
