/**
 * A registry that a drill can take away, for a while and for this host alone: announcements go on, so that no other
 * host sees a change. Afterwards its newest word is heard.
 */
import type { Clock } from '../../clock.ts'
import type { ErrorCode } from '../../../../contracts/errors.ts'
import type { EndpointListener, RegistryAdapter, RegistryProblem } from '../../../../contracts/registry-adapter.ts'

export type RegistryFault =
  /** Nothing that it says is heard, and it counts as lost, with this code. */
  | { readonly kind: 'lost'; readonly code: ErrorCode; readonly message: string }
  /** It says of every service that there is no instance. */
  | { readonly kind: 'empty' }
  /** Each word is heard so much later, ms. */
  | { readonly kind: 'slow'; readonly delayMs: number }

export interface FaultyRegistry extends RegistryAdapter {
  /** Undefined = it is as it is. */
  setFault(fault: RegistryFault | undefined): void
}

type Word = Parameters<EndpointListener['onEndpoints']>

interface Heard {
  readonly listener: EndpointListener
  newest: Word | undefined
  /** The newest word was not passed on. */
  isOwed: boolean
}

export function faultyRegistry(inner: RegistryAdapter, clock: Pick<Clock, 'wall' | 'after'>): FaultyRegistry {
  const all = new Set<Heard>()
  let fault: RegistryFault | undefined
  let since = 0
  const problemOf = (lost: Extract<RegistryFault, { kind: 'lost' }>): RegistryProblem => ({
    code: lost.code,
    message: lost.message,
    at: since,
  })
  const pass = (heard: Heard): void => {
    if (!heard.isOwed || heard.newest === undefined || !all.has(heard)) return
    heard.isOwed = false
    heard.listener.onEndpoints(...heard.newest)
  }
  const passEmpty = ({ listener, newest }: Heard): void => {
    if (newest !== undefined) listener.onEndpoints({ ...newest[0], endpoints: [] }, false)
  }
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
      if (fault?.kind !== 'lost') return status
      return {
        ...status,
        connected: false,
        problem: problemOf(fault),
        lastHeardAt: Math.min(status.lastHeardAt, since),
      }
    },
    subscribe: (service, listener) => {
      const heard: Heard = { listener, newest: undefined, isOwed: false }
      all.add(heard)
      const subscription = inner.subscribe(service, {
        onEndpoints: (...word) => {
          heard.newest = word
          heard.isOwed = true
          if (fault === undefined) pass(heard)
          else if (fault.kind === 'empty') passEmpty(heard)
          else if (fault.kind === 'slow') clock.after(fault.delayMs, () => pass(heard))
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
    setFault: (next) => {
      fault = next
      since = clock.wall()
      for (const heard of all) {
        if (next === undefined) pass(heard)
        else if (next.kind === 'lost') heard.listener.onStale(problemOf(next))
        else if (next.kind === 'empty') {
          heard.isOwed = true
          passEmpty(heard)
        }
      }
    },
  }
}
