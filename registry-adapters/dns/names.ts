/**
 * Names of the outside world as addresses, in the order in which the system does it: the file `hosts`, then name
 * servers. Where no name server is named to us, a name that they do not know is left to the system, which knows further
 * ways (search lists, mDNS, directories) but not how long an answer counts.
 */
import { lookup } from 'node:dns/promises'
import type { Clock } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import { Addresses, machineFamilies } from './addresses.ts'
import type { Resolved } from './addresses.ts'
import { DnsClient } from './dns-client.ts'
import type { NameServer } from './dns-client.ts'
import { fileContent, hostsIn, nameServersIn } from './system-files.ts'

export interface NamesOptions {
  /** Empty = those of `resolv.conf`, and the system for what they do not know. */
  readonly servers: readonly NameServer[]
  readonly clock: Clock
  readonly random: () => number
  readonly hostsFile?: string
  readonly resolvFile?: string
  readonly timeoutMs?: number
  /** The system's own way. Rejects when the name is not known. */
  readonly system?: (name: string) => Promise<readonly string[]>
}

/** The system does not say how long its answer counts. */
const systemMs = 30_000

/** A name that DNS can carry. */
const namePattern = /^(?=.{1,253}\.?$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?$/

export function isDnsName(name: string): boolean {
  return namePattern.test(name)
}

/**
 * All addresses of a name and how long they may be used. Rejects with E_REGISTRY_* while nobody can say, and with
 * E_ROUTE_UNKNOWN_SERVICE when the name has no address.
 */
export function createNames(options: NamesOptions): (name: string) => Promise<Resolved> {
  const { clock, servers } = options
  const hosts = fileContent(options.hostsFile ?? '/etc/hosts', clock, hostsIn)
  const listed = fileContent(options.resolvFile ?? '/etc/resolv.conf', clock, nameServersIn)
  const client = new DnsClient({
    servers: () => (servers.length > 0 ? servers : listed()),
    clock,
    random: options.random,
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
  })
  const addresses = new Addresses({ client, families: machineFamilies })
  const system = options.system ?? systemLookup

  const bySystem = async (name: string): Promise<Resolved> => ({
    addresses: [...(await system(name))].sort(),
    ttlMs: systemMs,
  })
  return async (name) => {
    const known = hosts().get(name.toLowerCase())
    if (known !== undefined) return { addresses: [...known].sort(), ttlMs: systemMs }
    const isOurs = servers.length > 0
    // a short name is one of the search list
    if (!isOurs && (!name.replace(/\.$/, '').includes('.') || listed().length === 0)) return bySystem(name)
    if (!isDnsName(name)) throw noSuchName(name)
    const found = await addresses.resolve(name)
    if (found.addresses.length > 0) return found
    if (isOurs) throw noSuchName(name)
    return bySystem(name).catch(() => {
      throw noSuchName(name)
    })
  }
}

function noSuchName(name: string): MeshError {
  return new MeshError('E_ROUTE_UNKNOWN_SERVICE', `${name.slice(0, 253)}: there is no such name, or it has no address`)
}

async function systemLookup(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true, verbatim: true })
  return [...new Set(found.map(({ address }) => address))]
}
