/** A key of its own and the request to have it certified (PKCS #10, RFC 2986), made on this host. */
import { createPublicKey, generateKeyPair, sign, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

export interface KeyAndRequest {
  /** PKCS #8, PEM. It never leaves this host. */
  readonly key: string
  /** PKCS #10, PEM, with the id as its one URI. */
  readonly request: string
}

/** EC P-256, made off the event loop. */
export async function keyAndRequest(uri: string): Promise<KeyAndRequest> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return { key, request: await signingRequest(privateKey, uri) }
}

/** The encoder is loaded at the first use: a host without identities does without. */
async function signingRequest(key: KeyObject, uri: string): Promise<string> {
  const [{ AsnConvert, OctetString }, x509, { CertificationRequest, CertificationRequestInfo, Attributes }] =
    await Promise.all([import('@peculiar/asn1-schema'), import('@peculiar/asn1-x509'), import('@peculiar/asn1-csr')])
  const { Attribute, Extension, Extensions, GeneralName, Name, SubjectAlternativeName, SubjectPublicKeyInfo } = x509
  const names = new SubjectAlternativeName([new GeneralName({ uniformResourceIdentifier: uri })])
  const extension = new Extension({
    extnID: x509.id_ce_subjectAltName,
    critical: true,
    extnValue: new OctetString(AsnConvert.serialize(names)),
  })
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const info = new CertificationRequestInfo({
    subject: new Name(),
    subjectPKInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    attributes: new Attributes([
      new Attribute({ type: '1.2.840.113549.1.9.14', values: [AsnConvert.serialize(new Extensions([extension]))] }),
    ]),
  })
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(info)), key)
  const request = new CertificationRequest({
    certificationRequestInfo: info,
    signatureAlgorithm: new x509.AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.2' }),
    signature: new Uint8Array(signature).buffer,
  })
  const lines =
    Buffer.from(AsnConvert.serialize(request))
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`
}
