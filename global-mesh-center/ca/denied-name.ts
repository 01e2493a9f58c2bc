/** What is denied, in the one spelling by which it is compared. */
import { isHostName, parseSpiffeId, spiffeScheme } from '../../contracts/spiffe-id.ts'

export type DeniedKind = 'host' | 'identity' | 'serial'

/** 20 bytes (RFC 5280 4.1.2.2). */
const maxSerialDigits = 40
const serialWord = /^(?:[0-9a-f]{1,2}(?::[0-9a-f]{2})+|[0-9a-f]+)$/i

/** For messages. */
export function allowedName(kind: DeniedKind, trustDomain: string): string {
  if (kind === 'host') return 'letters, digits, dots, dashes, underscores, a letter or digit first'
  if (kind === 'serial')
    return `hexadecimal digits, at most ${maxSerialDigits}, as OpenSSL prints them or without colons`
  return `ns/NAMESPACE/sa/ACCOUNT or host/NAME, alone or behind ${spiffeScheme}${trustDomain}/, no pattern`
}

/** As certificates and askers say it; undefined = this authority gives and knows no such name. */
export function deniedName(kind: DeniedKind, text: string, trustDomain: string): string | undefined {
  if (kind === 'host') return isHostName(text) ? text : undefined
  return kind === 'serial' ? serialOf(text) : identityOf(text, trustDomain)
}

function identityOf(text: string, trustDomain: string): string | undefined {
  const uri = text.startsWith(spiffeScheme) ? text : `${spiffeScheme}${trustDomain}/${text}`
  const id = parseSpiffeId(uri)
  return id === undefined || id.kind === 'other' || id.trustDomain !== trustDomain ? undefined : uri
}

/** Whole bytes in lower case, as Node says the number of a certificate. */
function serialOf(text: string): string | undefined {
  if (!serialWord.test(text)) return undefined
  const digits = text.toLowerCase().replaceAll(':', '').replace(/^0+/, '')
  if (digits === '' || digits.length > maxSerialDigits) return undefined
  return digits.length % 2 === 0 ? digits : `0${digits}`
}
