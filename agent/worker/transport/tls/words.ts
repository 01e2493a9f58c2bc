/** Numbers of RFC 8446 that both ends of a connection speak in, and words of ours that more than TLS itself knows. */

export const ContentType = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const

/** From the first byte to the end of a handshake. Envoy's default for a connect. */
export const handshakeTimeoutMs = 10_000
/** Of a moved connection of TLS. */
export const tlsStateKind = 'tls'

/** Header of a record. */
export const headerBytes = 5
/** Content of one record. */
export const maxContentBytes = 16_384
/** Body of an encrypted record: content, its type, padding, tag. */
export const maxSealedBytes = maxContentBytes + 256

/** Alerts that are sent from here, and their names in metrics and logs (RFC 8446 section 6.2). */
export const Alert = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  internal_error: 80,
  user_canceled: 90,
  certificate_required: 116,
} as const
export type AlertName = keyof typeof Alert

const names = new Map<number, string>([
  ...Object.entries(Alert).map(([name, code]): [number, string] => [code, name]),
  [40, 'handshake_failure'],
  [51, 'decrypt_error'],
  [70, 'protocol_version'],
  [71, 'insufficient_security'],
  [109, 'missing_extension'],
  [110, 'unsupported_extension'],
  [112, 'unrecognized_name'],
  [120, 'no_application_protocol'],
])

export function alertName(code: number): string {
  return names.get(code) ?? 'other'
}
