/**
 * From what a caller wrote (`x-mesh-service`, Host) to a virtual host. First the answers of control, which knows registries and rules, then the declared
 * names of the virtual hosts: exact, then the longest `*.suffix`.
 */
import { splitAuthority } from './local-reply.ts'
import type { VirtualHost } from './types.ts'

export class NameTable {
  readonly #hosts = new Map<string, VirtualHost>()
  /** Answers of control by name: the virtual host's name, or null for a name that nobody knows. */
  readonly #answers = new Map<string, string | null>()
  readonly #exact = new Map<string, VirtualHost>()
  readonly #suffixes = new Map<string, VirtualHost>()

  /** Adds or replaces; null removes. */
  setHost(name: string, host: VirtualHost | null): void {
    const former = this.#hosts.get(name)
    if (former !== undefined) this.#forgetDomains(former)
    if (host === null) {
      this.#hosts.delete(name)
      return
    }
    this.#hosts.set(name, host)
    for (const domain of host.spec.domains) {
      if (domain.startsWith('*.')) this.#suffixes.set(domain.slice(1), host)
      else this.#exact.set(domain, host)
    }
  }

  setAnswer(name: string, virtualHost: string | null): void {
    this.#answers.set(name, virtualHost)
  }

  forgetAnswer(name: string): void {
    this.#answers.delete(name)
  }

  host(name: string): VirtualHost | undefined {
    return this.#hosts.get(name)
  }

  hosts(): Iterable<VirtualHost> {
    return this.#hosts.values()
  }

  /** A service name as in `x-mesh-service`. undefined = ask control; null = nobody knows it. */
  findName(name: string): VirtualHost | null | undefined {
    const answer = this.#answers.get(name)
    if (answer === null) return null
    if (answer !== undefined) {
      const host = this.#hosts.get(answer)
      if (host !== undefined) return host
    }
    return this.#exact.get(name) ?? this.#bySuffix(name)
  }

  /** A lower-case Host, with or without a port. */
  findAuthority(authority: string): VirtualHost | null | undefined {
    return authority.includes(':') ? this.findName(splitAuthority(authority)[0]) : this.findName(authority)
  }

  /** A wildcard needs at least one label before its suffix. */
  #bySuffix(name: string): VirtualHost | undefined {
    if (this.#suffixes.size === 0) return undefined
    for (let dot = name.indexOf('.', 1); dot > 0; dot = name.indexOf('.', dot + 1)) {
      const host = this.#suffixes.get(name.slice(dot))
      if (host !== undefined) return host
    }
    return undefined
  }

  #forgetDomains(host: VirtualHost): void {
    for (const domain of host.spec.domains) {
      const [table, key] = domain.startsWith('*.') ? [this.#suffixes, domain.slice(1)] : [this.#exact, domain]
      if (table.get(key) === host) table.delete(key)
    }
  }
}
