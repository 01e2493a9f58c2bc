import { metadataKeys } from '../../../contracts/endpoint.ts'
import type { Endpoint } from '../../../contracts/endpoint.ts'

/** Labels are the version or metadata of an endpoint. */
export function hasLabels(endpoint: Endpoint, labels: Readonly<Record<string, string>>): boolean {
  for (const [name, wanted] of Object.entries(labels)) {
    if (endpoint.metadata[name] === wanted) continue
    if (name === 'version' && endpoint.version === wanted) continue
    return false
  }
  return true
}

/** A rule's port is the endpoint's own, or where that is an agent's inbound port or a target port, the port of the application as callers name it. */
export function hasPort(endpoint: Endpoint, port: number): boolean {
  return endpoint.port === port || endpoint.metadata[metadataKeys.appPort] === String(port)
}
