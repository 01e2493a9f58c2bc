/** How instances lie in ZooKeeper's tree: one layout per framework that uses it. */
import { metadataBounds, type Endpoint } from '../../../contracts/endpoint.ts'
import type { Registration } from '../../../contracts/registry-adapter.ts'

export interface InstanceNode {
  readonly path: string
  readonly data: Buffer
}

export interface Layout {
  /** Whether an instance is described by the node's content; otherwise its name says it all. */
  readonly readsData: boolean
  /** Node whose children are the services. */
  readonly root: string
  /** Name of the service whose node below the root this is. */
  nameOf(child: string): string
  /** Node whose children are the instances of the service. */
  directoryOf(service: string): string
  /**
   * One child. `other` = a good entry that is none of this service (another version or group, no provider); undefined =
   * it makes no sense. `data` is empty where the layout does not read it. Never throws.
   */
  read(service: string, child: string, data: Buffer): Endpoint | 'other' | undefined
  /** Where and how an application is written. */
  nodeOf(registration: Registration): InstanceNode
}

/** Dubbo's and SOFA's ordinary weight is 100, ours is 1. */
export const frameworkWeight = 100

/** The first entries, as many as the contract of endpoints allows. */
export function boundedMetadata(entries: Iterable<readonly [string, string]>): Record<string, string> {
  const metadata: Record<string, string> = {}
  let count = 0
  for (const [key, value] of entries) {
    if (key === '' || key === '__proto__') continue
    if (++count > metadataBounds.entries) break
    metadata[key] = value
  }
  return metadata
}

/** The text that was percent-encoded, or the name itself where it is no such text. */
export function decodedName(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

export function localityOf(metadata: Readonly<Record<string, string>>): { region: string; zone: string } {
  return { region: metadata['region'] ?? '', zone: metadata['zone'] ?? '' }
}
