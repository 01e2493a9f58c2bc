/** What stands for a name: by the exact one, else by the longest `*.suffix`, else by `*`. Names are in lower case. */
export class DomainTable<T> {
  private readonly exact = new Map<string, T>()
  /** By suffix with its dot; empty for `*`. */
  private readonly suffixes = new Map<string, T>()

  /** The one that was there first stays. */
  add(domain: string, value: T): void {
    const table = domain.startsWith('*') ? this.suffixes : this.exact
    const key = domain.startsWith('*') ? domain.slice(1) : domain
    if (!table.has(key)) table.set(key, value)
  }

  /** A wildcard needs at least one label before its suffix; `*` takes every name, also none. */
  find(name: string): T | undefined {
    const found = this.exact.get(name)
    if (found !== undefined || this.suffixes.size === 0) return found
    for (let dot = name.indexOf('.', 1); dot > 0; dot = name.indexOf('.', dot + 1)) {
      const below = this.suffixes.get(name.slice(dot))
      if (below !== undefined) return below
    }
    return this.suffixes.get('')
  }
}
