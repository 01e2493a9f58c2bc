/**
 * Reads what hosts send to have a key certified (PKCS #10, RFC 2986). Untrusted bytes: bounded, and checked in whole.
 */
import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { CertificationRequest } from '@peculiar/asn1-csr'
import { AsnConvert } from '@peculiar/asn1-schema'
import { Extensions, SubjectAlternativeName, id_ce_subjectAltName } from '@peculiar/asn1-x509'
import { describeError, MeshError } from '../../../contracts/errors.ts'
import { allowedKeys, digestOf, isGoodKey } from './algorithms.ts'
import { derOf, pemBlocks } from './pem.ts'

export interface SigningRequest {
  readonly publicKey: KeyObject
  /** Of the subject alternative name; other kinds of names are not looked at. */
  readonly uris: readonly string[]
}

/** RSA of 4096 bits with many names stays below a quarter of it. */
const maxRequestBytes = 16_384
const extensionRequest = '1.2.840.113549.1.9.14'

/** PEM or DER. Throws E_CA_REFUSED; the proof that the sender has the key is checked. */
export function readSigningRequest(text: string | Uint8Array): SigningRequest {
  const der = typeof text === 'string' ? derFromPem(text) : text
  if (der.length > maxRequestBytes) throw refused(`${der.length} bytes, allowed ${maxRequestBytes}`)
  let request: CertificationRequest
  let publicKey: KeyObject
  try {
    request = AsnConvert.parse(der, CertificationRequest)
    const { subjectPKInfo } = request.certificationRequestInfo
    const spki = Buffer.from(AsnConvert.serialize(subjectPKInfo))
    publicKey = createPublicKey({ key: spki, type: 'spki', format: 'der' })
  } catch (cause) {
    throw refused(`not a PKCS #10 request: ${describeError(cause).slice(0, 200)}`)
  }
  if (!isGoodKey(publicKey)) throw refused(`key ${publicKey.asymmetricKeyType}, allowed ${allowedKeys}`)
  if (!isSignedBy(request, publicKey)) throw refused('its signature does not hold')
  return { publicKey, uris: urisOf(request) }
}

function derFromPem(text: string): Buffer {
  // base64 and line ends make four thirds and some more
  if (text.length > maxRequestBytes * 2) throw refused(`${text.length} characters, allowed ${maxRequestBytes * 2}`)
  const pem = pemBlocks(text, 'CERTIFICATE REQUEST')[0] ?? pemBlocks(text, 'NEW CERTIFICATE REQUEST')[0]
  if (pem === undefined) throw refused('no PEM block CERTIFICATE REQUEST')
  return derOf(pem)
}

function isSignedBy(request: CertificationRequest, key: KeyObject): boolean {
  const digest = digestOf(request.signatureAlgorithm.algorithm)
  const signed = request.certificationRequestInfoRaw
  if (digest === undefined || signed === undefined) return false
  try {
    return verify(digest, Buffer.from(signed), key, Buffer.from(request.signature))
  } catch {
    return false
  }
}

function urisOf(request: CertificationRequest): string[] {
  try {
    const attribute = request.certificationRequestInfo.attributes.find((one) => one.type === extensionRequest)
    const value = attribute?.values[0]
    if (value === undefined) return []
    const names = AsnConvert.parse(value, Extensions).find((one) => one.extnID === id_ce_subjectAltName)
    if (names === undefined) return []
    return AsnConvert.parse(names.extnValue.buffer, SubjectAlternativeName).flatMap(
      (name) => name.uniformResourceIdentifier ?? [],
    )
  } catch {
    throw refused('its extensions cannot be read')
  }
}

function refused(why: string): MeshError {
  return new MeshError('E_CA_REFUSED', `the signing request: ${why}`)
}
