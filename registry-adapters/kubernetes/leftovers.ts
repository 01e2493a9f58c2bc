/**
 * What hosts wrote that are dead: Kubernetes forgets nothing by itself, so every agent that writes looks now and then
 * for objects of the mesh whose last sign of life is long ago, and removes those. One that was renewed meanwhile is
 * left alone by the server, which compares the version.
 */
import { every } from '../../contracts/clock.ts'
import { describeError } from '../../contracts/errors.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import type { KubernetesApi } from './kubernetes-api.ts'
import { managedByLabel, manager, renewedAnnotation } from './ownership.ts'

export interface LeftoversDeps extends Pick<AdapterDeps, 'clock' | 'random' | 'log' | 'metrics'> {
  readonly registry: string
  readonly api: KubernetesApi
  /** Collections that the mesh writes to. */
  readonly collections: readonly string[]
  /** A sign of life older than this is the last one, ms; far above the differences between the clocks of hosts. */
  readonly forgetAfterMs: number
}

/** A collection is looked at this often by one agent, ms. */
const lookMs = 120_000

interface Written {
  readonly metadata?: {
    readonly name?: unknown
    readonly resourceVersion?: unknown
    readonly annotations?: Readonly<Record<string, unknown>> | null
  } | null
}

/** Answers what ends it. */
export function removeLeftovers(deps: LeftoversDeps): () => void {
  const abort = new AbortController()
  const stop = every(deps.clock, lookMs * (0.75 + 0.5 * deps.random()), () => {
    for (const collection of deps.collections)
      lookAt(deps, collection, abort.signal).catch((error: unknown) =>
        deps.log.debug({ registry: deps.registry }, `${collection}: ${describeError(error)}`),
      )
  })
  return () => {
    stop()
    abort.abort()
  }
}

async function lookAt(deps: LeftoversDeps, collection: string, signal: AbortSignal): Promise<void> {
  const { items } = await deps.api.list(collection, `${managedByLabel}=${manager}`, signal)
  const before = deps.clock.wall() - deps.forgetAfterMs
  for (const item of items) {
    const { name, resourceVersion, annotations } = (item as Written).metadata ?? {}
    const renewedAt = Date.parse(String(annotations?.[renewedAnnotation]))
    if (typeof name !== 'string' || typeof resourceVersion !== 'string' || !(renewedAt < before)) continue
    // renewed in this moment
    if (!(await deps.api.remove(`${collection}/${name}`, resourceVersion, signal))) continue
    deps.metrics.count('registry_leftovers_removed', { registry: deps.registry })
    deps.log.warn(
      { registry: deps.registry, object: `${collection}/${name}` },
      `${name}: its host gave no sign of life since ${new Date(renewedAt).toISOString()}; removed from the cluster`,
    )
  }
}
