/**
 * What hosts wrote that are dead: Kubernetes forgets nothing by itself, so every agent that writes looks now and then
 * for objects of the mesh, and removes those that said the same sign of life at every look for long. The time between
 * looks is its own: what the clocks of hosts say is never compared. One that was renewed meanwhile is left alone by the
 * server, which compares the version.
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
  /** A sign of life that stays for so long is the last one, ms of our own monotonic time. */
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

interface Sign {
  readonly renewedAt: string
  /** When it was seen first; monotonic ms. */
  readonly since: number
}

/** Answers what ends it. */
export function removeLeftovers(deps: LeftoversDeps): () => void {
  const abort = new AbortController()
  const looks = deps.collections.map((collection) => ({ collection, look: looker(deps, collection, abort.signal) }))
  const stop = every(deps.clock, lookMs * (0.75 + 0.5 * deps.random()), () => {
    for (const { collection, look } of looks)
      look().catch((error: unknown) =>
        deps.log.debug({ registry: deps.registry }, `${collection}: ${describeError(error)}`),
      )
  })
  return () => {
    stop()
    abort.abort()
  }
}

/** Looks at one collection each time that the answer is called. */
function looker(deps: LeftoversDeps, collection: string, signal: AbortSignal): () => Promise<void> {
  /** By name, of the last look. */
  let signs = new Map<string, Sign>()
  let isLooking = false
  return async () => {
    if (isLooking) return
    isLooking = true
    try {
      await look()
    } finally {
      isLooking = false
    }
  }
  async function look(): Promise<void> {
    const before = signs
    // while nobody can look nobody may be able to renew: the time counts anew
    signs = new Map()
    const { items } = await deps.api.list(collection, `${managedByLabel}=${manager}`, signal)
    const now = deps.clock.monotonic()
    const dead: { readonly name: string; readonly resourceVersion: string; readonly renewedAt: string }[] = []
    for (const item of items) {
      const { name, resourceVersion, annotations } = (item as Written).metadata ?? {}
      const renewedAt = annotations?.[renewedAnnotation]
      if (typeof name !== 'string' || typeof resourceVersion !== 'string' || typeof renewedAt !== 'string') continue
      // not written by one of us
      if (Number.isNaN(Date.parse(renewedAt))) continue
      const known = before.get(name)
      const sign = known?.renewedAt === renewedAt ? known : { renewedAt, since: now }
      signs.set(name, sign)
      if (now - sign.since >= deps.forgetAfterMs) dead.push({ name, resourceVersion, renewedAt })
    }
    for (const { name, resourceVersion, renewedAt } of dead) {
      // renewed in this moment
      if (!(await deps.api.remove(`${collection}/${name}`, resourceVersion, signal))) continue
      deps.metrics.count('registry_leftovers_removed', { registry: deps.registry })
      deps.log.warn(
        { registry: deps.registry, object: `${collection}/${name}` },
        `${name}: its host gave no sign of life since ${new Date(renewedAt).toISOString()}; removed from the cluster`,
      )
    }
  }
}
