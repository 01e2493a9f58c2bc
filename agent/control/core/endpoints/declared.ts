/**
 * Endpoints of ServiceEntries. Literal addresses are there at once; names are resolved now and every `resolveEveryMs`, and the last good addresses stay while a name does not resolve.
 */
import { lookup } from 'node:dns/promises'
import type { EndpointSet, ServiceKey } from '../../../../contracts/endpoint.ts'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'
import type { DeclaredService, EntrySetBuilder } from '../rules/types.ts'

export interface DeclaredDeps {
  readonly clock: Clock
  readonly log: Log
  readonly build: EntrySetBuilder
  /** All addresses of a name. Rejects when it does not resolve. */
  readonly resolve: (host: string) => Promise<readonly string[]>
  declared(key: ServiceKey): DeclaredService | undefined
  isNeeded(key: ServiceKey): boolean
  publish(key: ServiceKey, set: EndpointSet | undefined): void
}

export const resolveEveryMs = 30_000

interface Entry {
  readonly addresses: Map<string, readonly string[]>
  cancel: (() => void) | undefined
  run: number
}

export class DeclaredServices {
  private readonly deps: DeclaredDeps
  private readonly entries = new Map<ServiceKey, Entry>()
  private version = 0

  constructor(deps: DeclaredDeps) {
    this.deps = deps
  }

  /** Needed, changed or let go: brings the entry in line with the rules as they are now. */
  changed(key: ServiceKey): void {
    const service = this.deps.isNeeded(key) ? this.deps.declared(key) : undefined
    const present = this.entries.get(key)
    present?.cancel?.()
    if (service === undefined) {
      if (!this.entries.delete(key)) return
      this.deps.publish(key, undefined)
      return
    }
    const entry: Entry = present ?? { addresses: new Map(), cancel: undefined, run: 0 }
    entry.run++
    this.entries.set(key, entry)
    if (service.resolution === 'static') this.publish(key, service, entry)
    else void this.resolve(key, service, entry, entry.run)
  }

  close(): void {
    for (const entry of this.entries.values()) {
      entry.run++
      entry.cancel?.()
    }
    this.entries.clear()
  }

  private async resolve(key: ServiceKey, service: DeclaredService, entry: Entry, run: number): Promise<void> {
    const hosts = new Set(service.endpoints.map((endpoint) => endpoint.host))
    await Promise.all(
      [...hosts].map(async (host) => {
        try {
          entry.addresses.set(host, (await this.deps.resolve(host)).toSorted())
        } catch (error) {
          this.deps.log.warn(
            { service: key, host },
            `${key}: ${host} does not resolve: ${error instanceof Error ? error.message : String(error)}; ` +
              `${entry.addresses.has(host) ? 'its last addresses stay in use' : 'it has no address yet'}`,
          )
        }
      }),
    )
    if (entry.run !== run || this.entries.get(key) !== entry) return
    this.publish(key, service, entry)
    entry.cancel = this.deps.clock.after(resolveEveryMs, () => void this.resolve(key, service, entry, run))
  }

  private publish(key: ServiceKey, service: DeclaredService, entry: Entry): void {
    this.deps.publish(key, this.deps.build(service, entry.addresses, ++this.version, this.deps.clock.wall()))
  }
}

export async function systemResolve(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, verbatim: true })
  return [...new Set(found.map((one) => one.address))]
}
