import { noIdentity } from '../transport.ts'
import type { Transport, TransportState } from '../transport.ts'
import type { TlsShared, TlsState } from './tls-shared.ts'
import { TlsTransport } from './tls-transport.ts'
import { adoptedKeys, suiteOf } from './traffic-keys.ts'

/**
 * Goes on over `inner`, which is paused, with what another process knew. Throws before `inner` is touched where that
 * cannot be used.
 */
export function adoptTls(shared: TlsShared, open: () => Transport, { body }: TransportState): TlsTransport {
  const state = body as TlsState
  if (typeof body !== 'object' || body === null || state.version !== 1)
    throw new Error(`state of a TLS connection of version ${String((body as Partial<TlsState> | null)?.version)}`)
  const suite = suiteOf(state.suite)
  if (state.role !== 'server' && state.role !== 'client') throw new Error(`TLS role ${String(state.role)}`)
  const sending = adoptedKeys(shared.ciphers, suite, state.sending, true)
  let receiving
  try {
    receiving = adoptedKeys(shared.ciphers, suite, state.receiving, false)
    const held = Buffer.from(String(state.held), 'base64')
    const identity = state.identity?.kind === 'spiffe' ? state.identity : noIdentity
    const transport = new TlsTransport(shared, open(), { role: state.role, sending, receiving, identity, held })
    transport.restore(state)
    return transport
  } catch (error) {
    sending.free()
    receiving?.free()
    throw error
  }
}
