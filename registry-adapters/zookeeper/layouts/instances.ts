/**
 * Layouts whose nodes hold JSON: Curator's service discovery (`/services/NAME/ID`), Dubbo at the level of applications
 * (the same with the id `ip:port` and a payload of its own), and a plain one (`/services/NAME/ip:port` with
 * `{"address", "port", "weight", "metadata"}`). All are read alike, since the shapes do not collide; each is written in
 * its own. Sources: ServiceInstance of Apache Curator 5; ZookeeperInstance and CuratorFrameworkUtils of Apache Dubbo
 * 3.3.
 */
import { z } from 'zod'
import { endpointAt, endpointId, metadataKeys } from '../../../contracts/endpoint.ts'
import type { Endpoint } from '../../../contracts/endpoint.ts'
import type { Registration } from '../../../contracts/registry-adapter.ts'
import { addressField, metadataField, portField, readInstanceJson, weightField } from '../../instance-json.ts'
import { writePlainInstance } from '../../plain-instance.ts'
import { boundedMetadata, frameworkWeight, localityOf } from './layout.ts'
import type { InstanceNode, Layout } from './layout.ts'

export type InstanceForm = 'curator' | 'dubbo-app' | 'plain'

const zookeeperInstance = 'org.apache.dubbo.registry.zookeeper.ZookeeperInstance'

const scalars = metadataField.catch({})
const instanceShape = z.object({
  address: addressField,
  port: portField.nullish(),
  sslPort: portField.nullish(),
  weight: weightField.optional(),
  enabled: z.boolean().default(true),
  metadata: scalars.optional(),
  payload: z.object({ '@class': z.string().optional(), metadata: scalars.optional() }).nullish().catch(undefined),
})

export class InstanceLayout implements Layout {
  readonly readsData = true
  readonly root: string
  private readonly form: InstanceForm

  constructor(root: string, form: InstanceForm) {
    this.root = root
    this.form = form
  }

  nameOf(child: string): string {
    return child
  }

  directoryOf(service: string): string {
    return `${this.root}/${service}`
  }

  read(_service: string, _child: string, data: Buffer): Endpoint | 'other' | undefined {
    const found = readInstanceJson(data, instanceShape)
    if (found === undefined) return undefined
    const { address, payload, enabled } = found
    const port = found.port ?? found.sslPort
    if (port === null || port === undefined) return undefined
    const metadata = boundedMetadata(Object.entries(found.metadata ?? payload?.metadata ?? {}))
    const weight = found.weight ?? weightOf(metadata)
    if (weight === undefined) return undefined
    return endpointAt(address, port, {
      weight,
      enabled,
      version: metadata[metadataKeys.version] ?? '',
      locality: localityOf(metadata),
      metadata,
    })
  }

  nodeOf(registration: Registration): InstanceNode {
    const id = endpointId(registration)
    const path = `${this.directoryOf(registration.service.name)}/${id}`
    const text =
      this.form === 'plain' ? writePlainInstance(registration) : JSON.stringify(this.contentOf(registration, id))
    return { path, data: Buffer.from(text) }
  }

  private contentOf(registration: Registration, id: string): object {
    const { address, port, weight, service, metadata } = registration
    const weighted = { ...metadata, weight: String(Math.round(weight * frameworkWeight)) }
    const isDubbo = this.form === 'dubbo-app'
    return {
      name: service.name,
      id,
      address,
      port,
      sslPort: null,
      payload: {
        ...(isDubbo ? { '@class': zookeeperInstance } : {}),
        id,
        name: service.name,
        metadata: weighted,
      },
      registrationTimeUTC: 0,
      serviceType: 'DYNAMIC',
      uriSpec: null,
    }
  }
}

/** A weight among the metadata counts as the frameworks count: 100 is ordinary. */
function weightOf(metadata: Record<string, string>): number | undefined {
  const text = metadata['weight']
  if (text === undefined) return 1
  delete metadata['weight']
  const weight = Number(text) / frameworkWeight
  return weight >= 0 && weight <= 10_000 ? weight : undefined
}
