/**
 * Makes X.509 certificates (RFC 5280) in the profile of X.509-SVID: authorities, and leaves that name a workload by one
 * URI.
 */
import { createHash, randomBytes, sign, type KeyObject } from 'node:crypto'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
} from '@peculiar/asn1-x509'
import { MeshError } from '../../../contracts/errors.ts'
import { allowedKeys, signatureOf } from './algorithms.ts'
import { originExtension, type LeafOrigin } from './origin.ts'
import { pemOf } from './pem.ts'

/** Who signs: the name and key identifier of its own certificate, and its key. */
export interface Signer {
  readonly subject: Name
  readonly keyId: ArrayBuffer
  readonly key: KeyObject
}

export interface CertificateWishes {
  readonly publicKey: KeyObject
  /** Epoch ms; certificates know whole seconds. */
  readonly notBefore: number
  readonly notAfter: number
  readonly uris: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly addresses?: readonly string[]
  /** Of a leaf. */
  readonly origin?: LeafOrigin | undefined
}

export interface MadeCertificate {
  readonly pem: string
  /** Lower-case hex. */
  readonly serial: string
  readonly notAfter: number
}

/** Of an authority that may sign `depth` further authorities below it. */
export interface AuthorityWishes extends CertificateWishes {
  readonly commonName: string
  readonly depth: number
}

const oneDn = { commonName: '2.5.4.3', organization: '2.5.4.10' } as const

/** Without a signer it signs itself; `key` is its own private key then. */
export function makeAuthority(wishes: AuthorityWishes, signer: Signer | { readonly key: KeyObject }): MadeCertificate {
  const subject = nameOf(wishes.commonName)
  const extensions = [
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: true, pathLenConstraint: wishes.depth })),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)),
  ]
  return make(wishes, subject, extensions, 'subject' in signer ? signer : { ...signer, subject, keyId: undefined })
}

/** For a workload or a host, usable on both sides of a connection. The subject is empty: the URI is the name. */
export function makeLeaf(wishes: CertificateWishes, signer: Signer): MadeCertificate {
  const extensions = [
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: false })),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
    extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth, id_kp_clientAuth])),
  ]
  if (wishes.origin !== undefined) extensions.push(originExtension(wishes.origin))
  return make(wishes, new Name(), extensions, signer)
}

/** What signs below the certificate with this key. Throws E_CONFIG_INVALID where the two do not belong together. */
export function signerOf(certificate: Certificate, key: KeyObject): Signer {
  const { subject, subjectPublicKeyInfo, extensions } = certificate.tbsCertificate
  const found = extensions?.find((one) => one.extnID === id_ce_subjectKeyIdentifier)
  const keyId =
    found === undefined
      ? keyIdOf(subjectPublicKeyInfo)
      : AsnConvert.parse(found.extnValue.buffer, SubjectKeyIdentifier).buffer
  return { subject, keyId, key }
}

function make(
  wishes: CertificateWishes,
  subject: Name,
  extensions: Extension[],
  signer: Omit<Signer, 'keyId'> & { readonly keyId: ArrayBuffer | undefined },
): MadeCertificate {
  const algorithm = signatureOf(signer.key)
  if (algorithm === undefined)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `the key of the authority: ${signer.key.asymmetricKeyType}, allowed ${allowedKeys}`,
    )
  const spki = AsnConvert.parse(wishes.publicKey.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo)
  const keyId = keyIdOf(spki)
  const names = subjectNames(wishes)
  if (names.length > 0)
    extensions.push(extension(id_ce_subjectAltName, subject.length === 0, new SubjectAlternativeName(names)))
  extensions.push(extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyId)))
  const authority = new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(signer.keyId ?? keyId) })
  extensions.push(extension(id_ce_authorityKeyIdentifier, false, authority))
  const serial = serialNumber()
  const notAfter = Math.floor(wishes.notAfter / 1000) * 1000
  const body = new TBSCertificate({
    version: Version.v3,
    serialNumber: bufferOf(serial),
    signature: algorithm.identifier,
    issuer: signer.subject,
    validity: new Validity({ notBefore: new Date(wishes.notBefore), notAfter: new Date(notAfter) }),
    subject,
    subjectPublicKeyInfo: spki,
    extensions: new Extensions(extensions),
  })
  const signature = sign(algorithm.digest, Buffer.from(AsnConvert.serialize(body)), signer.key)
  const whole = new Certificate({
    tbsCertificate: body,
    signatureAlgorithm: algorithm.identifier,
    signatureValue: bufferOf(signature),
  })
  const der = Buffer.from(AsnConvert.serialize(whole))
  return { pem: pemOf('CERTIFICATE', der), serial: serial.toString('hex'), notAfter }
}

function subjectNames({ uris, dnsNames = [], addresses = [] }: CertificateWishes): GeneralName[] {
  return [
    ...uris.map((uri) => new GeneralName({ uniformResourceIdentifier: uri })),
    ...dnsNames.map((name) => new GeneralName({ dNSName: name })),
    ...addresses.map((address) => new GeneralName({ iPAddress: address })),
  ]
}

/** RFC 5280, 4.2.1.2, method 1. */
function keyIdOf(spki: SubjectPublicKeyInfo): ArrayBuffer {
  return bufferOf(createHash('sha1').update(Buffer.from(spki.subjectPublicKey)).digest())
}

/** 16 bytes; positive, and without a leading zero byte. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes
}

function nameOf(commonName: string): Name {
  const part = (type: string, text: string) =>
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String: text }) }),
    ])
  return new Name([part(oneDn.organization, 'hostmesh'), part(oneDn.commonName, commonName)])
}

function extension(id: string, critical: boolean, value: object): Extension {
  return new Extension({ extnID: id, critical, extnValue: new OctetString(AsnConvert.serialize(value)) })
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
