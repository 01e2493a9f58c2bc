/** Which servers there are at the moment: the configured addresses, with names resolved and resolved again. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { every, type Clock } from '../../../contracts/clock.ts'
import { MeshError } from '../../../contracts/errors.ts'

/** One server, by address. Two names for one address are one server. */
export interface NacosMember {
  /** `10.0.0.1:8848` or `[::1]:8848`: identity, and what logs show. */
  readonly id: string
  /** IP literal. */
  readonly address: string
  readonly port: number
  /** Host as it was configured, for certificates and the Host header. */
  readonly host: string
}

export interface ServerListDeps {
  readonly clock: Clock
  readonly random: () => number
  /** Addresses of a name; default: the system's resolver. */
  readonly resolve?: (name: string) => Promise<readonly string[]>
  /** Hears of names that cannot be resolved. */
  readonly onProblem: (message: string) => void
}

/** More addresses of one name than this are not used. */
const maxAddressesPerName = 32

interface Configured {
  readonly host: string
  readonly port: number
}

/** Reads `host:port`; IPv6 literals in brackets; the port may be left out and is 8848 then. Throws E_CONFIG_INVALID. */
export function parseServerAddress(text: string): Configured {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = match?.[3] === undefined ? 8848 : Number(match[3])
  if (host === undefined || port < 1 || port > 65_535 || (match?.[1] !== undefined && isIP(host) !== 6))
    throw new MeshError('E_CONFIG_INVALID', `nacos server "${text}": allowed is host:port with a port of 1 to 65535`)
  return { host, port }
}

export class ServerList {
  private readonly configured: readonly Configured[]
  private known: readonly NacosMember[] = []
  private readonly resolved = new Map<string, readonly string[]>()
  private readonly deps: ServerListDeps
  private readonly resolveMs: number
  private readonly listeners = new Set<() => void>()
  private timer: (() => void) | undefined
  private refreshing: Promise<void> | undefined
  private isClosed = false

  constructor(addresses: readonly string[], resolveMs: number, deps: ServerListDeps) {
    this.configured = parseAll(addresses)
    this.resolveMs = resolveMs
    this.deps = deps
    this.rebuild()
  }

  /** All servers known at the moment. Empty while no name could be resolved yet. */
  get servers(): readonly NacosMember[] {
    return this.known
  }

  has(id: string): boolean {
    return this.known.some((server) => server.id === id)
  }

  /** The servers in random order, so that many hosts do not meet at the first one; `last` comes at the end. */
  inRandomOrder(last?: string): NacosMember[] {
    const out = [...this.known]
    for (let index = out.length - 1; index > 0; index--) {
      const other = Math.floor(this.deps.random() * (index + 1))
      const held = out[index]!
      out[index] = out[other]!
      out[other] = held
    }
    const at = out.findIndex((server) => server.id === last)
    if (at >= 0) out.push(...out.splice(at, 1))
    return out
  }

  /** Hears of each change of `servers`. */
  onChange(listener: () => void): void {
    this.listeners.add(listener)
  }

  start(): void {
    void this.refresh()
    if (!this.hasNames()) return
    this.timer = every(this.deps.clock, this.resolveMs, () => void this.refresh())
  }

  /** Resolves the names again. A name that does not resolve keeps its former addresses. Never rejects. */
  refresh(): Promise<void> {
    this.refreshing ??= this.resolveAll().finally(() => {
      this.refreshing = undefined
    })
    return this.refreshing
  }

  close(): void {
    this.isClosed = true
    this.timer?.()
    this.listeners.clear()
  }

  private hasNames(): boolean {
    return this.configured.some(({ host }) => isIP(host) === 0)
  }

  private async resolveAll(): Promise<void> {
    const names = new Set(this.configured.map(({ host }) => host).filter((host) => isIP(host) === 0))
    await Promise.all([...names].map((name) => this.resolveOne(name)))
    if (!this.isClosed) this.rebuild()
  }

  private async resolveOne(name: string): Promise<void> {
    try {
      const found = await (this.deps.resolve ?? systemResolve)(name)
      const addresses = found.filter((address) => isIP(address) !== 0).slice(0, maxAddressesPerName)
      if (addresses.length > 0) this.resolved.set(name, addresses)
      else this.deps.onProblem(`${name}: the resolver knows no address; keeping what was known`)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'failed'
      this.deps.onProblem(`${name}: cannot be resolved (${code}); keeping what was known`)
    }
  }

  private rebuild(): void {
    const servers = new Map<string, NacosMember>()
    for (const { host, port } of this.configured) {
      const addresses = isIP(host) === 0 ? (this.resolved.get(host) ?? []) : [host]
      for (const address of addresses) {
        const id = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
        if (!servers.has(id)) servers.set(id, { id, address, port, host })
      }
    }
    const before = this.known.map(({ id }) => id).join()
    this.known = [...servers.values()]
    if (before !== this.known.map(({ id }) => id).join()) for (const listener of this.listeners) listener()
  }
}

function parseAll(addresses: readonly string[]): readonly Configured[] {
  if (addresses.length === 0)
    throw new MeshError('E_CONFIG_INVALID', 'nacos servers: found none, at least one is needed')
  return addresses.map(parseServerAddress)
}

async function systemResolve(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true })
  return found.map(({ address }) => address)
}
