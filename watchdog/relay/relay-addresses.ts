/**
 * Where a relayed connection may go, best first: the usable centers in the host's own order, then the last good
 * endpoints, turn by turn. Only failures to connect, and for a center a missing sign of life, count against an address,
 * never what an application answers. A failed address is left out for a while that doubles with each failure in a row;
 * when everything is left out, everything is tried, because a guess is better than a refusal.
 */
import { parseServiceName, serviceKey } from '../../contracts/endpoint.ts'
import { FallbackAddresses } from '../../contracts/fallback-addresses.ts'
import type { RelayListener, RelayTargets } from '../../contracts/relay-targets.ts'

const firstRestMs = 1000
const lastRestMs = 30_000
/** Addresses remembered as failed; the oldest is forgotten beyond it. */
const maxRemembered = 4096

export interface RelayAddress {
  readonly tier: 'center' | 'direct'
  readonly address: string
  readonly port: number
}

export class AddressHealth {
  private readonly failures = new Map<string, { count: number; restsUntil: number }>()
  /** Take connections and answer nothing; only an answer ends that. */
  private readonly mute = new Set<string>()

  failed(address: string, now: number): void {
    const count = (this.failures.get(address)?.count ?? 0) + 1
    this.failures.delete(address)
    this.failures.set(address, { count, restsUntil: now + Math.min(lastRestMs, firstRestMs * 2 ** (count - 1)) })
    if (this.failures.size > maxRemembered) this.failures.delete([...this.failures.keys()][0]!)
  }

  worked(address: string): void {
    this.failures.delete(address)
  }

  /** Asked for a sign of life, and it came. */
  answered(address: string): void {
    this.mute.delete(address)
    this.worked(address)
  }

  /** It took the question and did not answer. That it takes connections says nothing any more. */
  silent(address: string): void {
    this.mute.add(address)
  }

  isSilent(address: string): boolean {
    return this.mute.has(address)
  }

  /** Whoever is asked no more must not stay marked. */
  forgetSilentExcept(asked: ReadonlySet<string>): void {
    for (const address of this.mute) if (!asked.has(address)) this.mute.delete(address)
  }

  isUsable(address: string, now: number): boolean {
    return !this.mute.has(address) && (this.failures.get(address)?.restsUntil ?? 0) <= now
  }

  failuresOf(address: string): number {
    return (this.failures.get(address)?.count ?? 0) + (this.mute.has(address) ? 1 : 0)
  }
}

/**
 * What a request names. `service` and `host` count on the shared HTTP port only; there `host` counts when there is no
 * `service`.
 */
export interface NamedService {
  readonly service: string | undefined
  readonly host: string | undefined
  /** `x-mesh-fallback`: used when nothing else is known, inside the allowed networks. */
  readonly fallback: string | undefined
}

export class RelayAddresses {
  private readonly health: AddressHealth
  private turn = 0
  /** Of the targets with which it was asked last. */
  private fallbacks: FallbackAddresses | undefined
  private fallbacksOf: RelayTargets | undefined

  constructor(health: AddressHealth) {
    this.health = health
  }

  /** `named`: of HTTP requests of local callers; nobody else may choose an address. */
  of(targets: RelayTargets, listener: RelayListener, named: NamedService | undefined, now: number): RelayAddress[] {
    const centers = listener.center ? readAddresses(targets.centers, 'center') : []
    const endpoints = listener.direct ? this.rotate(this.directAddresses(targets, listener, named)) : []
    const isUsable = (target: RelayAddress): boolean => this.health.isUsable(keyOf(target), now)
    const usable = [...centers.filter(isUsable), ...endpoints.filter(isUsable)]
    return usable.length > 0 ? usable : [...centers, ...endpoints]
  }

  private directAddresses(
    targets: RelayTargets,
    listener: RelayListener,
    named: NamedService | undefined,
  ): RelayAddress[] {
    const known =
      listener.kind === 'shared-http' ? endpointsOf(targets, named?.service ?? named?.host) : listener.endpoints
    if (known !== undefined && known.length > 0) return readAddresses(known, 'direct')
    const fallback = named?.fallback === undefined ? undefined : readAddress(named.fallback)
    if (fallback === undefined) return []
    const { port } = fallback
    const address = this.fallbacksIn(targets).find(fallback.address, port)
    return address === undefined ? [] : [{ tier: 'direct', address, port }]
  }

  private fallbacksIn(targets: RelayTargets): FallbackAddresses {
    if (this.fallbacks === undefined || this.fallbacksOf !== targets) {
      this.fallbacks = new FallbackAddresses(targets.fallbackNetworks, targets.ownAddresses ?? [])
      this.fallbacksOf = targets
    }
    return this.fallbacks
  }

  private rotate(endpoints: RelayAddress[]): RelayAddress[] {
    if (endpoints.length < 2) return endpoints
    const start = this.turn++ % endpoints.length
    return [...endpoints.slice(start), ...endpoints.slice(0, start)]
  }
}

export function keyOf(target: { readonly address: string; readonly port: number }): string {
  return `${target.address}|${target.port}`
}

function endpointsOf(targets: RelayTargets, name: string | undefined): readonly string[] | undefined {
  if (name === undefined) return undefined
  if (Object.hasOwn(targets.names, name)) {
    const key = targets.names[name]!
    return Object.hasOwn(targets.services, key) ? targets.services[key] : undefined
  }
  const parsed = parseServiceName(name)
  if (parsed === undefined) return undefined
  const key = serviceKey(parsed)
  return Object.hasOwn(targets.services, key) ? targets.services[key] : undefined
}

function readAddresses(texts: readonly string[], tier: RelayAddress['tier']): RelayAddress[] {
  const addresses: RelayAddress[] = []
  for (const text of texts) {
    const parsed = readAddress(text)
    if (parsed !== undefined) addresses.push({ tier, ...parsed })
  }
  return addresses
}

/** `10.0.0.1:80`, `[::1]:80`; names too, for centers. */
export function readAddress(text: string): { readonly address: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  return port >= 1 && port <= 65_535 ? { address: match[1] ?? match[2]!, port } : undefined
}
