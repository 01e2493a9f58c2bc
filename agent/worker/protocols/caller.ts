import type { SourceAppSpec } from '../../../contracts/snapshot.ts'

/** Who calls, as the connection knows it. */
export interface Caller {
  readonly localPort: number
  readonly sourceAddress: string
  readonly source: SourceAppSpec | undefined
  /** As it speaks to us; absent = http. */
  readonly scheme?: 'http' | 'https'
}

/** What a request has of its connection, in whatever protocol it came. Reused for one request after another. */
export abstract class CallerRequest {
  caller!: Caller
  /** Set by routing. */
  isNamedByHost = false

  abstract get authority(): string

  get scheme(): 'http' | 'https' {
    return this.caller.scheme ?? 'http'
  }
  get localPort(): number {
    return this.caller.localPort
  }
  get namedPort(): number {
    return this.isNamedByHost ? portOf(this.authority) : 0
  }
  get sourceAddress(): string {
    return this.caller.sourceAddress
  }
  get source(): SourceAppSpec | undefined {
    return this.caller.source
  }

  /** Gives a copy that outlives the connection what it needs of it. */
  protected tell(copied: CallerRequest): void {
    const { localPort, scheme, source, sourceAddress } = this
    copied.caller = { localPort, scheme, source, sourceAddress }
    copied.isNamedByHost = this.isNamedByHost
  }
}

/** 0 = none. */
function portOf(authority: string): number {
  const colon = authority.lastIndexOf(':')
  if (colon < 0 || authority.endsWith(']')) return 0
  const port = Number(authority.slice(colon + 1))
  return port > 0 && port < 65_536 ? port : 0
}
