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
