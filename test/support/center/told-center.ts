import { systemClock } from '../../../contracts/clock.ts'
import { endpointAt, serviceKey, type ServiceName } from '../../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import { Resources, type ResourceSource } from '../../../global-mesh-center/xds/resources.ts'
import { XdsServer } from '../../../global-mesh-center/xds/xds-server.ts'
import { createCenterAdapter } from '../../../registry-adapters/center/index.ts'
import { meshRules, typeUrls } from '../../../registry-adapters/center/wire/delta.ts'
import { encodeAssignment } from '../../../registry-adapters/center/wire/load-assignment.ts'
import type { OutsideInstance } from '../../compliance/registry-adapter.ts'
import { recordedDeps } from '../registry-listener.ts'

/** An agent's registry: that center. `tls`: PEM; absent = plain. */
export function centerAdapterAt(port: number, host = '127.0.0.1', tls?: { readonly ca?: string }): RegistryAdapter {
  return createCenterAdapter(
    {
      name: 'center',
      servers: [{ host, port }],
      node: 'host-1',
      tls: () => tls,
      token: () => undefined,
      maxEndpoints: 10_000,
    },
    recordedDeps(),
  )
}

/** A center whose registries say what the test says. */
export class ToldCenter {
  readonly source: ResourceSource
  private readonly values = new Map<string, Buffer | undefined>()
  private readonly followers = new Map<string, (value: Buffer | undefined) => void>()
  /** Of services by key, or of the mesh as a whole; a name that is not there has not been answered yet. */
  private readonly rules = new Map<string, Buffer | undefined>()
  private readonly ruleFollowers = new Map<string, (value: Buffer | undefined) => void>()
  private server: XdsServer | undefined
  port = 0

  constructor() {
    this.source = {
      follow: (name, onValue) => {
        this.followers.set(name, onValue)
        setImmediate(() =>
          this.followers.get(name)?.(this.values.has(name) ? this.values.get(name) : assignment(name, [])),
        )
        return () => void this.followers.delete(name)
      },
    }
  }

  /** PEM; absent = plain. */
  async start(tls?: { readonly cert: string; readonly key: string }): Promise<void> {
    const rules = new Resources(typeUrls.rules, {
      follow: (name, onValue) => {
        this.ruleFollowers.set(name, onValue)
        if (this.rules.has(name)) setImmediate(() => onValue(this.rules.get(name)))
        return () => void this.ruleFollowers.delete(name)
      },
    })
    this.server = new XdsServer(
      {
        address: `127.0.0.1:${this.port}`,
        tls,
        tokens: undefined,
        isOpen: true,
        takesCertificates: false,
        issuer: undefined,
        endpoints: this.source,
        rulesOf: () => rules,
      },
      { ...recordedDeps(), clock: systemClock },
    )
    this.port = await this.server.listen()
  }

  async stop(): Promise<void> {
    await this.server?.close()
  }

  /** undefined: it has no such service any more. */
  set(service: ServiceName, value: Buffer | undefined): void {
    const key = serviceKey(service)
    this.values.set(key, value)
    this.followers.get(key)?.(value)
  }

  /** Rules that are about no single service; undefined: it has none. */
  setMeshRules(value: Buffer | undefined): void {
    this.rules.set(meshRules, value)
    this.ruleFollowers.get(meshRules)?.(value)
  }

  put(service: ServiceName, instances: readonly OutsideInstance[]): void {
    this.set(service, assignment(serviceKey(service), instances))
  }
}

function assignment(name: string, instances: readonly OutsideInstance[]): Buffer {
  const endpoints = instances.map(({ address, port, weight = 1, metadata = {} }) =>
    endpointAt(address, port, {
      weight,
      metadata,
      version: metadata['version'] ?? '',
      locality: { region: '', zone: metadata['zone'] ?? '' },
    }),
  )
  return encodeAssignment(name, { endpoints, protectThreshold: 0 })
}
