/** The first bytes of a connection to the relay of a center, for a question that it answers by itself. */
import { randomBytes } from 'node:crypto'
import { encodeProxyV2, relayTlvs } from '../../contracts/proxy-protocol.ts'
import { encodeProvenHeader, readRelayKeys } from '../../contracts/relay-proof.ts'
import { SecretFile } from '../../native/secret-file.ts'

/**
 * Makes them anew for each connection: a proof counts once.
 *
 * @param host who asks, for the log of the center.
 * @param now monotonic ms.
 */
export function relayGreeting(host: string, secretFile: string | undefined, now: () => number): () => Buffer {
  const tlvs = relayTlvs({ service: '', host, listener: 'drill' })
  const header = { command: 'local', source: undefined, destination: undefined, tlvs } as const
  const secret = secretFile === undefined ? undefined : new SecretFile(secretFile, readRelayKeys, now)
  return () => {
    const key = secret?.get()?.[0]
    return key === undefined ? encodeProxyV2(header) : encodeProvenHeader(header, key, Date.now(), randomBytes(16))
  }
}
