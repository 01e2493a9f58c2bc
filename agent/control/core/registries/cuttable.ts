/**
 * A registry that a drill can take away: while cut, nothing that it says is heard and it counts as lost; afterwards its
 * newest word is heard. Announcements go on, so that no other host sees a change.
 */
import type { EndpointListener, RegistryAdapter, RegistryProblem } from '../../../../contracts/registry-adapter.ts'

export interface CuttableRegistry extends RegistryAdapter {
  setCut(isCut: boolean): void
}

interface Heard {
  readonly listener: EndpointListener
  /** Newest word that was not passed on. */
  waiting: Parameters<EndpointListener['onEndpoints']> | undefined
}

export function cuttable(inner: RegistryAdapter, now: () => number): CuttableRegistry {
  const all = new Set<Heard>()
  let cutSince: number | undefined
  const problem = (): RegistryProblem => ({
    code: 'E_REGISTRY_UNREACHABLE',
    message: 'cut off by a drill',
    at: cutSince ?? now(),
  })
  return {
    name: inner.name,
    type: inner.type,
    config: inner.config,
    ...(inner.rules === undefined ? {} : { rules: inner.rules }),
    start: () => inner.start(),
    register: (registration) => inner.register(registration),
    listServices: (limit, signal) => inner.listServices(limit, signal),
    close: () => inner.close(),
    status: () => {
      const status = inner.status()
      return cutSince === undefined
        ? status
        : { ...status, connected: false, problem: problem(), lastHeardAt: Math.min(status.lastHeardAt, cutSince) }
    },
    subscribe: (service, listener) => {
      const heard: Heard = { listener, waiting: undefined }
      all.add(heard)
      const subscription = inner.subscribe(service, {
        onEndpoints: (...word) => {
          if (cutSince === undefined) listener.onEndpoints(...word)
          else heard.waiting = word
        },
        onStale: (one) => listener.onStale(one),
      })
      return {
        unsubscribe: () => {
          all.delete(heard)
          subscription.unsubscribe()
        },
      }
    },
    setCut: (isCut) => {
      if (isCut === (cutSince !== undefined)) return
      cutSince = isCut ? now() : undefined
      for (const heard of all) {
        const { waiting } = heard
        heard.waiting = undefined
        if (isCut) heard.listener.onStale(problem())
        else if (waiting !== undefined) heard.listener.onEndpoints(...waiting)
      }
    },
  }
}
