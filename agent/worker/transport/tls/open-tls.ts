import type { Clock } from '../clock.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import type { Transport, Transports, TransportState } from '../transport.ts'
import { adoptTls } from './adopt-tls.ts'
import { Contexts } from './contexts.ts'
import { Handshakes } from './handshakes.ts'
import { Identities } from './identities.ts'
import { selectCiphers } from './select-ciphers.ts'
import { TlsCounts } from './tls-counts.ts'
import { TlsShared, tlsStateKind } from './tls-shared.ts'

export interface TlsDeps {
  readonly transports: Pick<Transports, 'open'>
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly log: (level: 'info' | 'warn', message: string) => void
}

/** The TLS of a worker. Nothing is made before the first certificate or connection of TLS. */
export class Tls {
  readonly counts = new TlsCounts()
  readonly identities = new Identities()
  readonly handshakes: Handshakes
  private readonly deps: TlsDeps
  private made: TlsShared | undefined

  constructor(deps: TlsDeps) {
    const { clock, log, wheel } = deps
    const { counts, identities } = this
    this.deps = deps
    const contexts = new Contexts()
    const warn = (message: string): void => log('warn', message)
    this.handshakes = new Handshakes({ shared: () => this.shared, contexts, identities, counts, wheel, clock, warn })
  }

  /** `Transports.open` for connections with and without TLS. */
  open(descriptor: number, state: TransportState | null): Transport {
    const { transports } = this.deps
    if (state?.kind !== tlsStateKind) return transports.open(descriptor, state)
    return adoptTls(this.shared, () => transports.open(descriptor, null), state)
  }

  private get shared(): TlsShared {
    return (this.made ??= new TlsShared(selectCiphers(this.deps.log), this.counts))
  }
}
