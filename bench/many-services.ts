/**
 * Ten endpoints per service, of which one answers: the same services for a worker's snapshot and for control's
 * registries.
 */
import { serviceKey } from '../contracts/endpoint.ts'
import type { Endpoint, ServiceKey } from '../contracts/endpoint.ts'
import { benchEndpoint } from './mesh-snapshot.ts'

export const endpointsPerService = 10

export const nameOf = (index: number): string => `service-${index}`

export function keyOf(index: number): ServiceKey {
  return serviceKey({ namespace: 'public', group: 'DEFAULT_GROUP', name: nameOf(index) })
}

/** One endpoint answers; the others are there to be held and take no traffic. Sorted by id, as endpoint sets are. */
export function endpointsOf(index: number, port: number): Endpoint[] {
  const others = Array.from({ length: endpointsPerService - 1 }, (_value, nth) => ({
    ...benchEndpoint(`10.${index >> 8}.${index & 255}.${nth + 1}`, 8080),
    weight: 0,
  }))
  return [...others, benchEndpoint('127.0.0.1', port)]
}

/**
 * Which service the nth change is about: all over the list, each in its turn. 7919 is prime and no count of services is
 * its multiple.
 */
export const changedService = (nth: number, services: number): number => (nth * 7919) % services

/**
 * Which of the two origins serves the changed service after the nth change: all begin with the first, and each change
 * is one, since a service has its next turn when all others had theirs.
 */
export const isSecondAfter = (nth: number, services: number): boolean => Math.floor(nth / services) % 2 === 0
