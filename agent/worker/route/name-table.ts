/**
 * From what a caller wrote (`x-mesh-service`, Host) to a virtual host. First the answers of control, which knows
 * registries and rules, then the declared names of the virtual hosts: exact, then the longest `*.suffix`. A name for
 * which a more specific rule decides, whose virtual host is not here yet, is asked for.
 */
import { parseServiceName } from '../../../contracts/endpoint.ts'
import { splitAuthority } from './authority.ts'
import type { VirtualHost } from './types.ts'

export class NameTable {
  private readonly byName = new Map<string, VirtualHost>()
  /** Answers of control by name: the virtual host's name, or null for a name that nobody knows. */
  private readonly answers = new Map<string, string | null>()
  private readonly exact = new Map<string, VirtualHost>()
  /** By suffix with its dot; empty for `*`. */
  private readonly suffixes = new Map<string, SuffixHost>()

  /** Adds or replaces; null removes. */
  setHost(name: string, host: VirtualHost | null): void {
    const former = this.byName.get(name)
    if (former !== undefined) this.forgetDomains(former)
    if (host === null) {
      this.byName.delete(name)
      return
    }
    this.byName.set(name, host)
    for (const domain of host.spec.domains) {
      if (domain.startsWith('*')) this.suffixes.set(domain.slice(1), new SuffixHost(host))
      else this.exact.set(domain, host)
    }
  }

  setAnswer(name: string, virtualHost: string | null): void {
    this.answers.set(name, virtualHost)
  }

  forgetAnswer(name: string): void {
    this.answers.delete(name)
  }

  /** These are all that there are: every other name is asked for again. */
  replaceAnswers(answers: Readonly<Record<string, string | null>>): void {
    this.answers.clear()
    for (const [name, virtualHost] of Object.entries(answers)) this.setAnswer(name, virtualHost)
  }

  host(name: string): VirtualHost | undefined {
    return this.byName.get(name)
  }

  hosts(): Iterable<VirtualHost> {
    return this.byName.values()
  }

  /** A service name as in `x-mesh-service`. undefined = ask control; null = nobody knows it. */
  findName(name: string): VirtualHost | null | undefined {
    const answer = this.answers.get(name)
    if (answer === null) return null
    if (answer !== undefined) {
      const host = this.byName.get(answer)
      if (host !== undefined) return host
    }
    return this.exact.get(name) ?? this.bySuffix(name)
  }

  /** A lower-case Host, with or without a port. */
  findAuthority(authority: string): VirtualHost | null | undefined {
    return authority.includes(':') ? this.findName(splitAuthority(authority)[0]) : this.findName(authority)
  }

  /** A wildcard needs at least one label before its suffix. */
  private bySuffix(name: string): VirtualHost | undefined {
    if (this.suffixes.size === 0) return undefined
    for (let dot = name.indexOf('.', 1); dot > 0; dot = name.indexOf('.', dot + 1)) {
      const found = this.suffixes.get(name.slice(dot))
      if (found !== undefined) return found.hostFor(name)
    }
    return this.suffixes.get('')?.hostFor(name)
  }

  private forgetDomains(host: VirtualHost): void {
    for (const domain of host.spec.domains) {
      if (!domain.startsWith('*')) {
        if (this.exact.get(domain) === host) this.exact.delete(domain)
      } else if (this.suffixes.get(domain.slice(1))?.host === host) this.suffixes.delete(domain.slice(1))
    }
  }
}

/** A virtual host under a wildcard, without the names for which another one decides. */
class SuffixHost {
  readonly host: VirtualHost
  private readonly names: ReadonlySet<string>
  private readonly suffixes: readonly string[]

  constructor(host: VirtualHost) {
    this.host = host
    const except = host.spec.except ?? []
    this.names = new Set(except.filter((name) => !name.startsWith('*')))
    this.suffixes = except.filter((name) => name.startsWith('*')).map((name) => name.slice(1))
  }

  /** undefined: control has to be asked. */
  hostFor(name: string): VirtualHost | undefined {
    const isOfAnother = this.names.has(name) || this.suffixes.some((suffix) => name.endsWith(suffix))
    return isOfAnother ? undefined : this.host
  }
}

/**
 * Whether control may be asked what a name means. Addresses are names, too: an IPv6 literal in Host is unknown, not
 * forbidden.
 */
export function mayBeAName(name: string): boolean {
  return name.startsWith('[') || parseServiceName(name) !== undefined
}
