/** Names of a control plane as names of services here, and as hosts of rules. */
import { type ServiceKey, parseServiceName, serviceKey } from '../../contracts/endpoint.ts'

export interface Place {
  readonly namespace: string
  readonly group: string
}

/**
 * The service that a cluster is; undefined for a name that no service can have. Istio's `outbound|8080|v1|orders.shop`
 * is `orders.shop:8080:v1`.
 */
export function serviceOf(cluster: string, { namespace, group }: Place): ServiceKey | undefined {
  const parts = /^outbound\|(\d+)\|([^|]*)\|([^|]+)$/.exec(cluster)
  const name = parts === null ? cluster : [parts[3], parts[1], parts[2]].filter((part) => part !== '').join(':')
  if (name.includes('/') || name.includes('@@')) return undefined
  const parsed = parseServiceName(name, { namespace, group })
  return parsed === undefined ? undefined : serviceKey(parsed)
}

/**
 * The host of a rule that a domain of a virtual host is: its port is left out, since services here have one. Names of a
 * cluster (`orders.shop.svc`) stay as they are. undefined = it cannot be said here.
 */
export function hostOf(domain: string, listener: string, place: Place): string | undefined {
  if (domain === '*') return hostOf(listener, '', place)
  const name = domain.replace(/:(?:\d+|\*)$/, '')
  if (/^\*(?:\.[A-Za-z0-9_-]+)+$/.test(name)) return name
  if (/\.svc(?:\.|$)/.test(name)) return /^[A-Za-z0-9._-]+$/.test(name) ? name : undefined
  return serviceOf(name, place)
}
