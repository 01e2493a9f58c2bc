/** Who a client is by the certificate that it showed. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/**
 * The common name of a certificate that `clientCa` signed and that is valid at `now` (epoch ms), also on a connection
 * that is older. undefined = there is none, or it has not one common name.
 */
export function certifiedName(socket: Socket, now: number): string | undefined {
  const secure = socket as Partial<TLSSocket>
  // in plain there are no such fields
  if (secure.authorized !== true || secure.getPeerCertificate === undefined) return undefined
  const { subject, valid_to: end } = secure.getPeerCertificate()
  // several names are an array
  const name: unknown = subject.CN
  return typeof name === 'string' && Date.parse(end) > now ? name : undefined
}
