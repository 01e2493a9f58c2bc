/** A certificate authority for tests: X.509 by hand, so that every field can be wrong on purpose. */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

export interface Issued {
  /** PEM. */
  readonly certificate: string
  /** PEM, PKCS#8. */
  readonly key: string
}

export interface LeafWishes {
  /** Names as URIs; default one. */
  readonly uris?: readonly string[]
  readonly dns?: readonly string[]
  /** Addresses, IPv4. */
  readonly ips?: readonly string[]
  /** Common name; default `leaf`. */
  readonly subject?: string
  /** Ms from now. */
  readonly from?: number
  readonly to?: number
  /** Bytes that are added to the certificate in an extension nobody knows. */
  readonly padding?: number
}

const hour = 3_600_000
const oid = {
  signature: '06082a8648ce3d040302',
  name: '0603550403',
  altName: '0603551d11',
  basic: '0603551d13',
  usage: '0603551d0f',
  subjectKey: '0603551d0e',
  padding: '06032a0304',
} as const

export class Authority {
  readonly certificate: string
  private readonly key: KeyObject
  private readonly name: string

  constructor(name = 'test root') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.key = privateKey
    this.name = name
    const extensions = [
      extension(oid.basic, sequence(Buffer.from('0101ff', 'hex')), true),
      extension(oid.usage, Buffer.from('03020106', 'hex'), true),
      extension(oid.subjectKey, tagged(0x04, keyId(publicKey))),
    ]
    this.certificate = this.issue(name, publicKey, { from: -hour, to: 24 * hour }, extensions)
  }

  /** PEM, PKCS#8: for whoever is to sign below it. */
  get keyPem(): string {
    return this.key.export({ type: 'pkcs8', format: 'pem' }) as string
  }

  /** A leaf for both roles. */
  leaf(id = 'spiffe://mesh.test/ns/default/sa/app', wishes: LeafWishes = {}): Issued {
    const { dns = [], from = -hour, ips = [], padding = 0, subject = 'leaf', to = hour, uris = [id] } = wishes
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const names = [
      ...uris.map((uri) => tagged(0x86, Buffer.from(uri))),
      ...dns.map((one) => tagged(0x82, Buffer.from(one))),
      ...ips.map((one) => tagged(0x87, Buffer.from(one.split('.').map(Number)))),
    ]
    const extensions = [
      extension(oid.usage, Buffer.from('03020780', 'hex'), true),
      ...(names.length === 0 ? [] : [extension(oid.altName, sequence(...names))]),
      ...(padding === 0 ? [] : [extension(oid.padding, Buffer.alloc(padding, 0x04))]),
    ]
    return {
      certificate: this.issue(subject, publicKey, { from, to }, extensions),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }

  private issue(
    subject: string,
    publicKey: KeyObject,
    { from, to }: { readonly from: number; readonly to: number },
    extensions: readonly Buffer[],
  ): string {
    const algorithm = sequence(Buffer.from(oid.signature, 'hex'))
    const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)])
    const body = sequence(
      tagged(0xa0, Buffer.from('020102', 'hex')),
      tagged(0x02, serial),
      algorithm,
      distinguished(this.name),
      sequence(time(from), time(to)),
      distinguished(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      tagged(0xa3, sequence(...extensions)),
    )
    const signature = sign('sha256', body, this.key)
    const der = sequence(body, algorithm, tagged(0x03, Buffer.concat([Buffer.from([0]), signature])))
    const lines = der.toString('base64').match(/.{1,64}/g)!
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
  }
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const head =
    length < 0x80
      ? [length]
      : length < 0x100
        ? [0x81, length]
        : length < 0x10000
          ? [0x82, length >> 8, length & 255]
          : [0x83, length >> 16, (length >> 8) & 255, length & 255]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function distinguished(name: string): Buffer {
  const attribute = sequence(Buffer.from(`${oid.name}`, 'hex'), tagged(0x0c, Buffer.from(name)))
  return sequence(tagged(0x31, attribute))
}

function time(fromNow: number): Buffer {
  const text = new Date(Date.now() + fromNow).toISOString()
  return tagged(0x18, Buffer.from(`${text.replace(/[-:T]/g, '').slice(0, 14)}Z`))
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [Buffer.from('0101ff', 'hex')] : []
  return sequence(Buffer.from(id, 'hex'), ...critical, tagged(0x04, value))
}
