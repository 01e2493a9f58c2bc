import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import type { Tallies } from '../observe/tallies.ts'
import { readClientHello } from '../transport/tls/client-hello.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import { FirstBytes } from './first-bytes.ts'
import type { FirstBytesDeps } from './first-bytes.ts'

export interface ServerNameIntakeDeps extends FirstBytesDeps {
  readonly limits: () => LimitsSpec
  readonly tallies: Tallies
  /** Whether raw connections of this virtual host are routed by the name in their TLS hello. */
  readonly asksServerName: (virtualHost: string) => boolean
}

/**
 * Reads the server name of a TLS hello where a route asks for it, and passes the bytes on as they came: nothing is
 * decrypted. Bounds: `maxHelloBytes`, and `headTimeoutMs`. What is no hello, or none in time, has no server name.
 */
export class ServerNameIntake implements IntakeStep {
  private readonly deps: ServerNameIntakeDeps

  constructor(deps: ServerNameIntakeDeps) {
    this.deps = deps
  }

  begin(arriving: Arriving, next: NextStep): void {
    const { protocol, virtualHost } = arriving.context
    if (protocol !== 'tcp' || virtualHost === null || !this.deps.asksServerName(virtualHost)) next(arriving)
    else new HelloRead(this.deps, arriving, next).begin(this.deps.limits().headTimeoutMs)
  }
}

class HelloRead extends FirstBytes {
  private readonly tallies: Tallies
  private readonly next: NextStep

  constructor(deps: ServerNameIntakeDeps, arriving: Arriving, next: NextStep) {
    super(deps, arriving)
    this.tallies = deps.tallies
    this.next = next
  }

  /** Some protocols let the server speak first. */
  onTimer(): void {
    this.tallies.helloTimeouts++
    this.proceed('')
  }

  protected look(): boolean {
    const hello = readClientHello(this.received)
    if (hello === 'more') return false
    this.proceed(hello === 'none' ? '' : hello.serverName)
    return true
  }

  private proceed(serverName: string): void {
    if (this.isOver) return
    this.finish()
    const { arriving, received } = this
    arriving.serverName = serverName
    arriving.received = received.length === 0 ? null : received
    this.next(arriving)
  }
}
