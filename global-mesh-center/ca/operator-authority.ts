/**
 * An operator's own intermediate, from files that are read again when they change. Its root is rotated by its owner.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Clock } from '../../contracts/clock.ts'
import { MeshError, describeError } from '../../contracts/errors.ts'
import { backdateMs, type Authority, type AuthorityView, type IssuedLeaf, type LeafWishes } from './authority.ts'
import { signatureOf, allowedKeys } from './x509/algorithms.ts'
import { makeLeaf, signerOf, type Signer } from './x509/certificate.ts'
import { certificateOf, pemBlocks } from './x509/pem.ts'
import { pinOf } from '../../contracts/certificate-pin.ts'

export interface OperatorFiles {
  /** The intermediate first, then what stands between it and a root. */
  readonly certificate: string
  readonly key: string
  /** The roots that peers are checked against. */
  readonly roots: string
}

interface Read {
  readonly texts: string
  readonly signer: Signer
  readonly chain: string
  readonly roots: readonly string[]
  readonly notAfter: number
}

/** Chains longer than this are a mistake; OpenSSL follows 100, browsers fewer than 10. */
const maxChain = 8
const maxFileBytes = 65_536

export class OperatorAuthority implements Authority {
  private readonly files: OperatorFiles
  private readonly clock: Pick<Clock, 'wall'>
  private read: Read

  /** Throws E_CONFIG_INVALID or E_CONFIG_UNREADABLE with the file and what is wrong. */
  constructor(files: OperatorFiles, clock: Pick<Clock, 'wall'>) {
    this.files = files
    this.clock = clock
    this.read = readFiles(files)
  }

  get trustBundle(): string {
    return this.read.roots.join('')
  }

  issue({ publicKey, uri, dnsNames, addresses, lifetimeMs, origin }: LeafWishes): IssuedLeaf {
    const now = this.clock.wall()
    const { signer, chain } = this.read
    const notAfter = Math.min(now + lifetimeMs, this.read.notAfter)
    if (notAfter <= now) throw new MeshError('E_CA_REFUSED', `${this.files.certificate}: has ended`)
    const wishes = { publicKey, uris: [uri], dnsNames: dnsNames ?? [], addresses: addresses ?? [], origin }
    const leaf = makeLeaf({ ...wishes, notBefore: now - backdateMs(lifetimeMs), notAfter }, signer)
    return { chain: leaf.pem + chain, serial: leaf.serial, notAfter: leaf.notAfter }
  }

  view(): AuthorityView {
    const { roots, notAfter } = this.read
    return {
      source: 'files',
      roots: roots.map((root) => ({
        pin: pinOf(root),
        notAfter: new X509Certificate(root).validToDate.getTime(),
        isIssuing: true,
      })),
      issuerNotAfter: notAfter,
      rotation: undefined,
    }
  }

  /** Half-replaced files are refused, and the ones read before stay in use. */
  advance(): Promise<void> {
    return Promise.resolve().then(() => {
      if (textsOf(this.files) !== this.read.texts) this.read = readFiles(this.files)
    })
  }

  rotate(): Promise<void> {
    return Promise.reject(
      new MeshError(
        'E_CA_REFUSED',
        `the root is an operator's: put the new one into ${this.files.roots} beside the old`,
      ),
    )
  }
}

function readFiles(files: OperatorFiles): Read {
  const chain = pemBlocks(text(files.certificate), 'CERTIFICATE')
  const roots = pemBlocks(text(files.roots), 'CERTIFICATE')
  const [own] = chain
  if (own === undefined || chain.length > maxChain)
    throw invalid(files.certificate, `${chain.length} certificates, allowed 1 to ${maxChain}`)
  if (roots.length === 0) throw invalid(files.roots, 'no certificate')
  const certificate = parsed(files.certificate, own)
  if (!certificate.ca) throw invalid(files.certificate, 'the first certificate may not sign others (basicConstraints)')
  const key = privateKey(files.key)
  if (signatureOf(key) === undefined) throw invalid(files.key, `key ${key.asymmetricKeyType}, allowed ${allowedKeys}`)
  if (!certificate.checkPrivateKey(key)) throw invalid(files.key, `not the key of ${files.certificate}`)
  const top = parsed(files.certificate, chain.at(-1)!)
  const anchors = roots.map((root) => parsed(files.roots, root))
  if (!anchors.some((root) => top.checkIssued(root) && top.verify(root.publicKey)))
    throw invalid(files.roots, `no root that has signed the end of ${files.certificate}`)
  const ends = chain.map((one) => new X509Certificate(one).validToDate.getTime())
  return {
    texts: textsOf(files),
    signer: signerOf(certificateOf(own), key),
    chain: chain.join(''),
    roots,
    notAfter: Math.min(...ends),
  }
}

function textsOf({ certificate, key, roots }: OperatorFiles): string {
  return [certificate, key, roots].map(text).join('\u0000')
}

function text(file: string): string {
  let found: string
  try {
    found = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new MeshError('E_CONFIG_UNREADABLE', `${file}: cannot be read: ${describeError(cause)}`, { cause })
  }
  if (found.length > maxFileBytes) throw invalid(file, `${found.length} characters, allowed ${maxFileBytes}`)
  return found
}

function parsed(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw invalid(file, `not a certificate: ${describeError(cause)}`)
  }
}

function privateKey(file: string) {
  try {
    return createPrivateKey(text(file))
  } catch {
    // OpenSSL's words may hold parts of what it read
    throw invalid(file, 'not a private key in PEM without a password')
  }
}

function invalid(file: string, why: string): MeshError {
  return new MeshError('E_CONFIG_INVALID', `${file}: ${why}`)
}
