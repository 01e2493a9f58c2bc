/**
 * Objects that the mesh writes in a cluster carry a label that says so. What does not carry it is somebody else's: it
 * is neither changed nor removed.
 */
import { MeshError } from '../../contracts/errors.ts'
import type { KubernetesApi } from './kubernetes-api.ts'

/** Source: "Recommended labels" of Kubernetes. */
export const managedByLabel = 'app.kubernetes.io/managed-by'
export const manager = 'hostmesh'
/** When the host of an application last gave a sign of life; Kubernetes forgets nothing by itself. */
export const renewedAnnotation = 'hostmesh.io/renewed-at'

export type Owner = 'nobody' | 'mesh' | 'other'

interface Labelled {
  readonly metadata?: { readonly labels?: Readonly<Record<string, unknown>> | null } | null
}

/** Whether a listed or read object is one of ours. */
export function isManaged(object: unknown): boolean {
  return (object as Labelled | null)?.metadata?.labels?.[managedByLabel] === manager
}

export async function ownerOf(api: KubernetesApi, path: string, signal: AbortSignal): Promise<Owner> {
  const found = await api.read(path, signal)
  if (found === undefined) return 'nobody'
  return isManaged(found) ? 'mesh' : 'other'
}

/** Rejects with E_REGISTRY_CONFLICT when an object of that name belongs to somebody else. */
export async function applyOwned(api: KubernetesApi, path: string, object: object, signal: AbortSignal): Promise<void> {
  if ((await ownerOf(api, path, signal)) === 'other') throw conflict(path)
  await api.apply(path, object, signal)
}

/** Rejects with E_REGISTRY_CONFLICT when it belongs to somebody else; none being there is success. */
export async function removeOwned(api: KubernetesApi, path: string, signal: AbortSignal): Promise<void> {
  const owner = await ownerOf(api, path, signal)
  if (owner === 'mesh') await api.remove(path, signal)
}

function conflict(path: string): MeshError {
  return new MeshError(
    'E_REGISTRY_CONFLICT',
    `${path}: is not ours (it has no label ${managedByLabel}=${manager}) and is left as it is; remove or rename it`,
  )
}
