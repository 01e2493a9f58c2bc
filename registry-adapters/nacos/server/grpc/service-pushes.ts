/** Tells subscribed connections of changed services, once per merge window and service. */
import type { Clock } from '../../../../contracts/clock.ts'
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import { serviceKey } from '../../../../contracts/endpoint.ts'
import type { Subscription } from '../../../../contracts/registry-adapter.ts'
import { serverRequests } from '../../wire/messages.ts'
import type { NamingBackend } from '../backend.ts'
import { callerName, type Caller } from '../../../../guard/caller.ts'
import { overLimit } from '../fault.ts'
import { serviceInfo } from '../service-info.ts'
import type { ClientConnection } from './connection.ts'

export interface ServicePushesDeps {
  readonly naming: NamingBackend
  /** Epoch ms, never going back. */
  readonly now: () => number
  readonly clock: Clock
  /** Changes of a service within this time go out as one message; ms. Nacos itself: 500. */
  readonly mergeWindowMs: number
  readonly cacheMillis: number
  readonly maxSubscriptions: number
}

/** Those of one user, in whose name the backend is asked. */
interface Subject {
  readonly caller: Caller
  readonly service: ServiceName
  readonly subscribers: Map<ClientConnection, string>
  upstream: Subscription | undefined
  /** Cancels the push that is due at the end of the merge window. */
  cancel: (() => void) | undefined
}

export class ServicePushes {
  private readonly deps: ServicePushesDeps
  /** By service and user. */
  private readonly subjects = new Map<string, Subject>()

  constructor(deps: ServicePushesDeps) {
    this.deps = deps
  }

  get subscriptions(): number {
    let count = 0
    for (const subject of this.subjects.values()) count += subject.subscribers.size
    return count
  }

  /** One subscription per connection and service; a second one replaces the clusters of the first. */
  subscribe(connection: ClientConnection, service: ServiceName, clusters: string, caller: Caller): void {
    const { maxSubscriptions, naming } = this.deps
    const key = serviceKey(service)
    if (!connection.services.has(key) && connection.services.size >= maxSubscriptions) {
      throw overLimit('maxSubscriptions', connection.services.size + 1, maxSubscriptions)
    }
    const id = `${callerName(caller)} ${key}`
    let subject = this.subjects.get(id)
    if (subject === undefined) {
      const made: Subject = { service, caller, subscribers: new Map(), upstream: undefined, cancel: undefined }
      made.upstream = naming.subscribe(service, () => this.changed(made), caller)
      subject = made
      this.subjects.set(id, made)
    }
    const { subscribers } = subject
    subscribers.set(connection, clusters)
    const found = subject
    connection.services.set(key, {
      unsubscribe: () => {
        subscribers.delete(connection)
        connection.pushes.withdraw(key)
        if (subscribers.size > 0 || this.subjects.get(id) !== found) return
        this.subjects.delete(id)
        found.cancel?.()
        found.upstream?.unsubscribe()
      },
    })
  }

  unsubscribe(connection: ClientConnection, service: ServiceName): void {
    const key = serviceKey(service)
    connection.services.get(key)?.unsubscribe()
    connection.services.delete(key)
  }

  close(): void {
    for (const subject of this.subjects.values()) {
      subject.cancel?.()
      subject.upstream?.unsubscribe()
    }
    this.subjects.clear()
  }

  private changed(subject: Subject): void {
    subject.cancel ??= this.deps.clock.after(this.deps.mergeWindowMs, () => {
      subject.cancel = undefined
      for (const [connection, clusters] of subject.subscribers) this.offer(connection, subject, clusters)
    })
  }

  private offer(connection: ClientConnection, { service, caller }: Subject, clusters: string): void {
    const { naming, now, cacheMillis } = this.deps
    connection.pushes.offer(serviceKey(service), async () => ({
      type: serverRequests.notifySubscriber,
      body: {
        module: 'naming',
        serviceInfo: serviceInfo(service, await naming.query(service, caller), {
          clusters,
          healthyOnly: false,
          cacheMillis,
          at: now(),
          hasGroupInName: false,
        }),
      },
    }))
  }
}
