/**
 * A center as a registry: one stream for everything that this host uses. A center that is gone is followed by the next
 * one; what is known is named by its version there, and is not sent again.
 */
import { parseServiceName, type ServiceKey, type ServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type {
  AdapterDeps,
  EndpointListener,
  Registration,
  RegistrationHandle,
  RegistryAdapter,
  RegistryStatus,
  Subscription,
} from '../../contracts/registry-adapter.ts'
import { DesiredState } from '../desired-state.ts'
import { ServerTurns } from '../server-turns.ts'
import { CarriedRules } from './carried-rules.ts'
import type { CenterAdapterConfig } from './config.ts'
import { OtherWord } from './other-word.ts'
import { CenterStream } from './stream.ts'
import { typeUrls, type DeltaResponse } from './wire/delta.ts'
import { decodeAssignment, type Assignment } from './wire/load-assignment.ts'

interface Known {
  readonly version: string
  readonly assignment: Assignment | undefined
}

export class CenterAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'center'
  readonly config = undefined
  readonly rules: CarriedRules
  private readonly settings: CenterAdapterConfig
  private readonly state: DesiredState
  private readonly turns: ServerTurns<CenterAdapterConfig['servers'][number]>
  private readonly known = new Map<ServiceKey, Known>()
  private readonly ruleVersions = new Map<string, string>()
  private readonly otherWord: OtherWord
  private stream: CenterStream | undefined
  /** The center has not spoken yet of what was known before this stream. */
  private isConfirming = false

  constructor(config: CenterAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.settings = config
    this.otherWord = new OtherWord(config.name, deps)
    this.rules = new CarriedRules({
      onWanted: (added, dropped) => {
        for (const name of dropped) this.ruleVersions.delete(name)
        this.stream?.send({ typeUrl: typeUrls.rules, subscribe: added, unsubscribe: dropped })
      },
    })
    this.state = new DesiredState(
      {
        registry: config.name,
        maxEndpoints: config.maxEndpoints,
        driver: undefined,
        onWanted: (key) => this.want(key),
        // a stream tells every change by itself; asking again brings the same once more
        onDoubt: (key) => this.again(key),
        onUnwanted: (key) => {
          this.known.delete(key)
          this.stream?.send({ typeUrl: typeUrls.endpoints, unsubscribe: [key] })
        },
      },
      deps,
    )
    this.turns = new ServerTurns({
      ...deps,
      registry: config.name,
      servers: config.servers,
      role: 'center',
      state: this.state,
      open: () => this.open(),
    })
  }

  start(): void {
    this.turns.start()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.state.services.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    return this.state.registrations.register(registration)
  }

  /** A center does not say which services it could find. */
  listServices(): Promise<ServiceKey[]> {
    return Promise.resolve([])
  }

  status(): RegistryStatus {
    return this.state.status({
      type: this.type,
      connected: this.turns.isHeard,
      server: this.stream?.server,
      problem: this.state.problem(this.turns.problem),
    })
  }

  close(): Promise<void> {
    this.turns.close()
    this.otherWord.lost()
    this.stream?.close()
    this.rules.close()
    this.state.services.close()
    return Promise.resolve()
  }

  private open(): void {
    const { node } = this.settings
    let stream: CenterStream
    try {
      stream = new CenterStream(this.settings, this.turns.current, {
        onResponse: (response) => this.take(response),
        onEnd: (problem) => this.lost(problem),
      })
    } catch (error) {
      // a certificate or token that cannot be read
      return this.lost(
        error instanceof MeshError ? error : new MeshError('E_REGISTRY_DENIED', (error as Error).message),
      )
    }
    this.stream = stream
    this.isConfirming = true
    const versions = [...this.known].map(([key, { version }]) => [key, version] as const)
    stream.send({
      node,
      typeUrl: typeUrls.endpoints,
      subscribe: [...this.state.services.keys()],
      initialVersions: new Map(versions),
    })
    stream.send({ typeUrl: typeUrls.rules, subscribe: this.rules.names(), initialVersions: this.ruleVersions })
  }

  private want(key: ServiceKey): void {
    this.stream?.send({ typeUrl: typeUrls.endpoints, subscribe: [key] })
    this.turns.answer(key)
  }

  private again(key: ServiceKey): void {
    this.stream?.send({ typeUrl: typeUrls.endpoints, subscribe: [key] })
  }

  /**
   * Throws RangeError for resources that make no sense, once all others are taken: the center has sent those, and does
   * not send them again.
   */
  private take({ typeUrl, resources, removed }: DeltaResponse): void {
    const { server } = this.stream!
    this.turns.heard(server)
    this.otherWord.heard(server, () => this.versions())
    if (typeUrl === typeUrls.rules) {
      for (const { name, version, value } of resources) {
        this.otherWord.says(rulesOf(name), version)
        this.rules.take(name, value)
        this.ruleVersions.set(name, version)
      }
      for (const name of removed) {
        this.ruleVersions.delete(name)
        this.rules.take(name, undefined)
      }
      return
    }
    if (typeUrl !== typeUrls.endpoints)
      throw new RangeError(`found type ${typeUrl.slice(0, 200)}, which nobody asked for`)
    const news = new Set(resources.map(({ name }) => name))
    const problems: string[] = []
    for (const resource of resources) {
      this.otherWord.says(resource.name, resource.version)
      const key = resource.name as ServiceKey
      if (parseServiceName(key) === undefined || !this.state.services.has(key)) continue
      try {
        this.takeAssignment(key, resource)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        problems.push(`${key}: ${error.message}`)
      }
    }
    for (const name of removed as readonly ServiceKey[]) {
      this.known.delete(name)
      this.state.services.publish(name, [])
    }
    if (this.isConfirming) this.confirmOthers(news)
    const [first, ...more] = problems
    if (first !== undefined) throw new RangeError(more.length === 0 ? first : `${first}; and ${more.length} more`)
  }

  private takeAssignment(key: ServiceKey, { value, version }: DeltaResponse['resources'][number]): void {
    const assignment = decodeAssignment(value)
    this.known.set(key, { version, assignment })
    this.state.services.publish(key, assignment.endpoints, assignment.protectThreshold)
  }

  /** What the center does not send again is as it was. */
  private confirmOthers(news: ReadonlySet<string>): void {
    this.isConfirming = false
    for (const [key, { assignment }] of this.known)
      if (!news.has(key) && assignment !== undefined)
        this.state.services.publish(key, assignment.endpoints, assignment.protectThreshold)
  }

  /** Of all that is known, by what it is called for people. */
  private versions(): ReadonlyMap<string, string> {
    const endpoints = [...this.known].map(([key, { version }]) => [key as string, version] as const)
    return new Map([...endpoints, ...[...this.ruleVersions].map(([name, one]) => [rulesOf(name), one] as const)])
  }

  private lost(problem: MeshError): void {
    this.stream = undefined
    this.otherWord.lost()
    this.turns.lost(problem)
  }
}

function rulesOf(name: string): string {
  return `rules of ${name}`
}
