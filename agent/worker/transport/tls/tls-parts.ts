/** All of TLS that is loaded late: see `open-tls.ts`. */
import type { Transport, TransportState } from '../transport.ts'
import { adoptTls } from './adopt-tls.ts'
import { Contexts } from './contexts.ts'
import { Handshakes } from './handshakes.ts'
import type { HandshakesDeps } from './handshakes.ts'
import { selectCiphers } from './select-ciphers.ts'
import { TlsShared } from './tls-shared.ts'

export interface TlsParts {
  readonly handshakes: Handshakes
  /** Goes on with a connection of another process. */
  adopt(open: () => Transport, state: TransportState): Transport
}

export interface TlsPartsDeps extends Omit<HandshakesDeps, 'contexts' | 'shared'> {
  readonly log: (level: 'info' | 'warn', message: string) => void
}

export function tlsParts({ log, ...given }: TlsPartsDeps): TlsParts {
  let made: TlsShared | undefined
  const shared = (): TlsShared => (made ??= new TlsShared(selectCiphers(log), given.counts))
  return {
    handshakes: new Handshakes({ ...given, shared, contexts: new Contexts() }),
    adopt: (open, state) => adoptTls(shared(), open, state),
  }
}
