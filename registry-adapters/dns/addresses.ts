/**
 * The addresses of names: IPv4 and, where this machine speaks it, IPv6, both asked at the same time. When one of the
 * two cannot be said, its last good addresses stand in for it, so that half an answer never takes away the other half.
 */
import { networkInterfaces } from 'node:os'
import type { MeshError } from '../../contracts/errors.ts'
import { follow } from './aliases.ts'
import type { DnsAnswer, DnsClient } from './dns-client.ts'
import { addressesBeside, addressesIn } from './records.ts'
import type { Said } from './records.ts'

export type Family = 'A' | 'AAAA'

export interface Resolved {
  /** Sorted, unique. Empty = the name has none, or does not exist. */
  readonly addresses: readonly string[]
  /** How long they may be used, as the name servers say. */
  readonly ttlMs: number
}

export interface AddressesOptions {
  readonly client: Pick<DnsClient, 'ask'>
  /** Families that are asked for. */
  readonly families: () => readonly Family[]
}

/** Names whose last addresses are kept; the one asked longest ago goes first. */
const maxNames = 20_000
/** Half an answer is asked for again so soon. */
const halfMs = 5000

interface Known {
  A?: readonly string[]
  AAAA?: readonly string[]
}

export class Addresses {
  private readonly options: AddressesOptions
  private readonly known = new Map<string, Known>()
  private readonly running = new Map<string, Promise<Resolved>>()

  constructor(options: AddressesOptions) {
    this.options = options
  }

  /**
   * Rejects with the MeshError of the client when nothing could be heard. One question at a time for a name, whoever
   * asks.
   */
  resolve(name: string): Promise<Resolved> {
    const running = this.running.get(name)
    if (running !== undefined) return running
    const asked = this.ask(name).finally(() => this.running.delete(name))
    this.running.set(name, asked)
    return asked
  }

  /**
   * What an answer says beside what it was asked for, by name: its addresses in any family that is asked for. Servers
   * that send them send all that they have, as room permits; where the other family found none, the same instance is
   * reached by this one. Who names a target may lead to any address, so it is believed as the target is.
   */
  told(packet: DnsAnswer): ReadonlyMap<string, Resolved> {
    const told = new Map<string, Resolved>()
    for (const [name, { values, ttlMs }] of addressesBeside(packet, this.options.families()))
      told.set(name, { addresses: [...new Set(values)].sort(), ttlMs })
    return told
  }

  private async ask(name: string): Promise<Resolved> {
    const known: Known = this.known.get(name) ?? {}
    this.known.delete(name)
    this.known.set(name, known)
    if (this.known.size > maxNames) this.known.delete(this.known.keys().next().value!)
    const families = this.options.families()
    const answers = await Promise.allSettled(families.map((family) => this.said(name, family)))
    let failure: MeshError | undefined
    let ttlMs = Infinity
    let heard = 0
    const addresses = new Set<string>()
    for (const [index, family] of families.entries()) {
      const answer = answers[index]!
      if (answer.status === 'fulfilled') {
        heard++
        known[family] = answer.value.values
        // that there is no address of the other family says nothing about this one
        if (answer.value.values.length > 0) ttlMs = Math.min(ttlMs, answer.value.ttlMs)
      } else {
        failure ??= answer.reason as MeshError
        ttlMs = Math.min(ttlMs, halfMs)
      }
      for (const address of known[family] ?? []) addresses.add(address)
    }
    // one family that has none, and one that could not be asked: nothing is known
    if (failure !== undefined && (heard === 0 || addresses.size === 0)) throw failure
    if (ttlMs === Infinity)
      for (const answer of answers) if (answer.status === 'fulfilled') ttlMs = Math.min(ttlMs, answer.value.ttlMs)
    return { addresses: [...addresses].sort(), ttlMs }
  }

  private said(name: string, family: Family): Promise<Said<string>> {
    return follow(
      name,
      (one) => this.options.client.ask(one, family),
      (answer, one) => addressesIn(answer, one, family),
    )
  }
}

/**
 * IPv6 only where this machine has an address that reaches further than its own network, as the resolver of the system
 * does it.
 */
export function machineFamilies(): readonly Family[] {
  const all = Object.values(networkInterfaces()).flatMap((one) => one ?? [])
  const reaches = (family: 'IPv4' | 'IPv6'): boolean =>
    all.some((one) => one.family === family && !one.internal && !one.address.startsWith('fe80:'))
  return reaches('IPv6') ? (reaches('IPv4') ? ['A', 'AAAA'] : ['AAAA', 'A']) : ['A']
}
