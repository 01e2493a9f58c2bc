/**
 * For whom a leaf of a workload was issued, in an extension of its own (not critical, so that nobody else minds it): a
 * renewal is the business of the host that asked first, whichever center answers, and whatever it has forgotten.
 */
import { AsnConvert, AsnUtf8StringConverter, OctetString } from '@peculiar/asn1-schema'
import { Certificate, Extension } from '@peculiar/asn1-x509'

/** A random number below 2.25, the arc of UUIDs (ITU-T X.667), which needs no registration. */
const id = '2.25.1807421093'
const hostWord = 'host:'
const token = 'token'

/** `token`: it was given for a token, which is shown for each renewal. */
export type LeafOrigin = { readonly kind: 'host'; readonly host: string } | { readonly kind: 'token' }

export function originExtension(origin: LeafOrigin): Extension {
  const text = origin.kind === 'host' ? `${hostWord}${origin.host}` : token
  const value = AsnUtf8StringConverter.toASN(text).toBER(false)
  return new Extension({ extnID: id, critical: false, extnValue: new OctetString(value) })
}

/** undefined = it says nothing of it. `der`: of a certificate of this authority. */
export function originOf(der: Buffer): LeafOrigin | undefined {
  const { extensions } = AsnConvert.parse(der, Certificate).tbsCertificate
  const found = extensions?.find(({ extnID }) => extnID === id)
  if (found === undefined) return undefined
  const text = textIn(found)
  if (text === token) return { kind: 'token' }
  return text.startsWith(hostWord) ? { kind: 'host', host: text.slice(hostWord.length) } : undefined
}

/** A tag, a length in one byte or in as many as that one says, the text. */
function textIn({ extnValue }: Extension): string {
  const bytes = Buffer.from(extnValue.buffer)
  const length = bytes[1] ?? 0
  return bytes.toString('utf8', length < 0x80 ? 2 : 2 + (length & 0x7f))
}
