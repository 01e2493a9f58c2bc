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

interface Labelled {
  readonly metadata?: { readonly labels?: Readonly<Record<string, unknown>> | null } | null
}

/** Whether a listed or read object is one of ours; undefined is none. */
export function isManaged(object: unknown): boolean {
  return (object as Labelled | null | undefined)?.metadata?.labels?.[managedByLabel] === manager
}

/** An object as it is written, and what of it never changes: enough for the cluster to take it. */
export interface OwnObject {
  readonly [field: string]: unknown
  readonly metadata: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
}

/** So often an object may have become another one between the look at it and the change. */
const attempts = 5

/**
 * Rejects with E_REGISTRY_CONFLICT when an object of that name belongs to somebody else, also when it came there only
 * now: each change holds for the state alone that was looked at.
 *
 * @param born what is made where there is none, before `object` is applied to it. What it says stays, also when
 *   `object` says it no more.
 */
export async function applyOwned(
  api: KubernetesApi,
  path: string,
  object: OwnObject,
  born: OwnObject,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const found = (await api.read(path, signal)) ?? (await api.create(path, born, signal))
    // somebody was faster: who?
    if (found === undefined) continue
    if (!isManaged(found)) throw conflict(path)
    const metadata = { ...object.metadata, resourceVersion: versionOf(found, path) }
    if (await api.apply(path, { ...object, metadata }, signal)) return
  }
  throw changing(path)
}

/** Leaves alone what belongs to somebody else; none being there is success. */
export async function removeOwned(api: KubernetesApi, path: string, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const found = await api.read(path, signal)
    if (!isManaged(found)) return
    if (await api.remove(path, versionOf(found, path), signal)) return
  }
  throw changing(path)
}

function versionOf(found: unknown, path: string): string {
  const version = (found as { metadata?: { resourceVersion?: unknown } | null } | null)?.metadata?.resourceVersion
  if (typeof version !== 'string') throw new MeshError('E_REGISTRY_PROTOCOL', `${path}: an object without a version`)
  return version
}

function changing(path: string): MeshError {
  return new MeshError('E_REGISTRY_CONFLICT', `${path}: changes again and again; it is tried again later`)
}

function conflict(path: string): MeshError {
  return new MeshError(
    'E_REGISTRY_CONFLICT',
    `${path}: is not ours (it has no label ${managedByLabel}=${manager}) and is left as it is; remove or rename it`,
  )
}
