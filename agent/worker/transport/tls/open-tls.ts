import { describeError } from '../../../../contracts/errors.ts'
import { lazily } from '../../lazily.ts'
import type { Clock } from '../clock.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import type { Transport, Transports, TransportState } from '../transport.ts'
import type { HandshakeUser } from './handshake.ts'
import type { Handshakes } from './handshakes.ts'
import { Identities } from './identities.ts'
import { TlsCounts } from './tls-counts.ts'
import type * as TlsModule from './tls-parts.ts'
import type { TlsParts } from './tls-parts.ts'
import { tlsStateKind } from './words.ts'

const loadParts = lazily<typeof TlsModule>(import.meta.url, './tls-parts', 'TLS')

export interface TlsDeps {
  readonly transports: Pick<Transports, 'open'>
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly log: (level: 'info' | 'warn', message: string) => void
}

/** What connections ask of handshakes. */
export type HandshakesInUse = Pick<Handshakes, 'call' | 'refused' | 'serve'>

/** The TLS of a worker. Nothing is loaded or made before the first certificate or connection of TLS. */
export class Tls {
  readonly counts = new TlsCounts()
  readonly identities = new Identities()
  /** Where TLS cannot be loaded, none succeeds. */
  readonly handshakes: HandshakesInUse = {
    serve: (transport, received, wish, user) => {
      const parts = this.partsFor(transport, user)
      parts?.handshakes.serve(transport, received, wish, user)
    },
    call: (transport, wish, user) => {
      let isCancelled = false
      const onInsecure = (reason: string): void => {
        setImmediate(() => {
          if (!isCancelled) user.onInsecure(reason)
        })
      }
      const parts = this.partsFor(transport, { onInsecure })
      return parts?.handshakes.call(transport, wish, user) ?? { cancel: () => void (isCancelled = true) }
    },
    refused: (reason, listener, transport) => this.partsIfAny()?.handshakes.refused(reason, listener, transport),
  }
  private readonly deps: TlsDeps
  private made: TlsParts | undefined

  constructor(deps: TlsDeps) {
    this.deps = deps
  }

  /** Before a configuration that needs it is in force. Throws E_PART_MISSING. */
  load(): void {
    this.parts()
  }

  /** `Transports.open` for connections with and without TLS. */
  open(descriptor: number, state: TransportState | null): Transport {
    const { transports } = this.deps
    if (state?.kind !== tlsStateKind) return transports.open(descriptor, state)
    return this.parts().adopt(() => transports.open(descriptor, null), state)
  }

  private parts(): TlsParts {
    if (this.made !== undefined) return this.made
    const { counts, identities } = this
    const { clock, log, wheel } = this.deps
    const warn = (message: string): void => log('warn', message)
    this.made = loadParts().tlsParts({ identities, counts, wheel, clock, log, warn })
    return this.made
  }

  private partsFor(transport: Transport, user: Pick<HandshakeUser, 'onInsecure'>): TlsParts | undefined {
    const parts = this.partsIfAny()
    if (parts !== undefined) return parts
    transport.close()
    user.onInsecure('no_identity')
    return undefined
  }

  private partsIfAny(): TlsParts | undefined {
    try {
      return this.parts()
    } catch (error) {
      this.deps.log('warn', describeError(error))
      return undefined
    }
  }
}
