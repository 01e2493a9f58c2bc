/**
 * What one center says otherwise than the one that was asked before it. One center's word counts at a time, so a change
 * of centers that share no state, or of which one is behind, changes what this host does: it is logged and counted.
 */
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'

/** Resources come in several responses; ms from the first word on. What changes later is news. */
const comparedMs = 5000
/** Of those that differ, in the log. */
const mostNames = 5

export class OtherWord {
  private readonly deps: Pick<AdapterDeps, 'clock' | 'log' | 'metrics'>
  private readonly registry: string
  private before: string | undefined
  /** What is known of the one before and was not heard of yet, by what it is called for people. */
  private open: Map<string, string> | undefined
  private readonly different: string[] = []
  private end = (): void => undefined

  constructor(registry: string, deps: Pick<AdapterDeps, 'clock' | 'log' | 'metrics'>) {
    this.registry = registry
    this.deps = deps
  }

  /** `server` answers. `known`: versions by name, as they were told it; read at once. */
  heard(server: string, known: () => ReadonlyMap<string, string>): void {
    const { before } = this
    if (this.open !== undefined || before === server) return
    this.before = server
    if (before === undefined) return
    this.open = new Map(known())
    const cancel = this.deps.clock.after(comparedMs, () => this.end())
    this.end = () => {
      cancel()
      this.end = () => undefined
      this.open = undefined
      this.tell(server, before)
    }
  }

  says(name: string, version: string): void {
    const known = this.open?.get(name)
    if (known === undefined) return
    this.open!.delete(name)
    if (known !== version) this.different.push(name)
  }

  /** Nothing more comes from this one. */
  lost(): void {
    this.end()
  }

  private tell(server: string, before: string): void {
    const names = this.different.splice(0)
    if (names.length === 0) return
    const { registry } = this
    this.deps.metrics.count('registry_server_differences', { registry }, names.length)
    const more = names.length > mostNames ? ` and ${names.length - mostNames} more` : ''
    this.deps.log.warn(
      { registry },
      `${registry}: ${server} says otherwise than ${before} did of ${names.slice(0, mostNames).join(', ')}${more}; ` +
        'its word counts now',
    )
  }
}
