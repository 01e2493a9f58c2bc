import { execFileSync } from 'node:child_process'
import { X509Certificate, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { sealedBox, openBox } from '../../../../global-mesh-center/ca/key-box.ts'
import { MadeAuthority } from '../../../../global-mesh-center/ca/made-authority.ts'
import { OperatorAuthority } from '../../../../global-mesh-center/ca/operator-authority.ts'
import { pemBlocks } from '../../../../global-mesh-center/ca/x509/pem.ts'
import { memoryDocuments } from '../../../support/ca/memory-documents.ts'

const day = 86_400_000
const start = Date.UTC(2030, 0, 1)
const lifetimes = { rootMs: 3650 * day, intermediateMs: 365 * day, spreadMs: day, overlapMs: 2 * day }
const uri = 'spiffe://mesh.test/ns/default/sa/orders'

function bench(documents = memoryDocuments()) {
  const clock = { now: start, wall: () => clock.now }
  const open = (box = openBox, trustDomain = 'mesh.test') =>
    MadeAuthority.open({ documents, box, clock, trustDomain, lifetimes })
  return { clock, documents, open }
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
}

/** What OpenSSL says of a chain, at a time; `OK` when it holds. */
function verified(chain: string, roots: string, at: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'hostmesh-ca-'))
  try {
    const [leaf, ...rest] = pemBlocks(chain, 'CERTIFICATE')
    writeFileSync(join(folder, 'leaf.pem'), leaf!)
    writeFileSync(join(folder, 'rest.pem'), rest.join(''))
    writeFileSync(join(folder, 'roots.pem'), roots)
    const words = ['verify', '-x509_strict', '-attime', String(Math.floor(at / 1000)), '-CAfile', 'roots.pem']
    execFileSync('openssl', [...words, '-untrusted', 'rest.pem', 'leaf.pem'], { cwd: folder, stdio: 'pipe' })
    return 'OK'
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('the authority that a center makes', () => {
  it('issues chains that OpenSSL verifies strictly, with one URI as the name', async () => {
    const { open, clock } = bench()
    const authority = await open()
    const leaf = authority.issue({ publicKey: newKey(), uri, lifetimeMs: day })
    expect(verified(leaf.chain, authority.trustBundle, clock.now)).to.equal('OK')
    const read = new X509Certificate(leaf.chain)
    expect(read.subjectAltName).to.equal(`URI:${uri}`)
    expect(read.ca).to.equal(false)
    expect(read.serialNumber.toLowerCase()).to.equal(leaf.serial)
    expect(read.validToDate.getTime())
      .to.equal(leaf.notAfter)
      .and.to.equal(start + day)
    expect(read.validFromDate.getTime()).to.equal(start - 120_000)
  })

  it('is the same one after a restart, and for a second center that opens at the same time', async () => {
    const { open } = bench()
    const [one, two] = await Promise.all([open(), open()])
    const three = await open()
    expect(one.trustBundle).to.equal(two.trustBundle).and.to.equal(three.trustBundle)
  })

  it('never ends a leaf later than its own certificate', async () => {
    const { open } = bench()
    const authority = await open()
    const leaf = authority.issue({ publicKey: newKey(), uri, lifetimeMs: 100_000 * day })
    expect(leaf.notAfter).to.equal(authority.view().issuerNotAfter)
  })

  it('renews its intermediate at half its life, below the same root', async () => {
    const { open, clock } = bench()
    const authority = await open()
    const { issuerNotAfter } = authority.view()
    const before = authority.trustBundle
    clock.now = start + 182 * day
    await authority.advance()
    expect(authority.view().issuerNotAfter).to.equal(issuerNotAfter)
    clock.now = start + 183 * day
    await authority.advance()
    expect(authority.view().issuerNotAfter).to.be.greaterThan(issuerNotAfter)
    expect(authority.trustBundle).to.equal(before)
    const leaf = authority.issue({ publicKey: newKey(), uri, lifetimeMs: day })
    expect(verified(leaf.chain, before, clock.now)).to.equal('OK')
  })

  it('changes its root with overlap: no leaf is without its root in the bundle, at no step', async () => {
    const { open, clock } = bench()
    const authority = await open()
    const held: { chain: string; notAfter: number }[] = []
    // hosts hold the bundle of some hours ago
    let bundleOfHosts = authority.trustBundle
    await authority.rotate()
    for (let hours = 0; hours < 5 * 24; hours += 6) {
      clock.now = start + hours * 3_600_000
      await authority.advance()
      held.push(authority.issue({ publicKey: newKey(), uri, lifetimeMs: day }))
      for (const { chain } of held.filter(({ notAfter }) => notAfter > clock.now))
        expect(verified(chain, bundleOfHosts, clock.now), `after ${hours} h`).to.equal('OK')
      bundleOfHosts = authority.trustBundle
    }
    expect(authority.view().roots).to.have.length(1)
    expect(authority.view().rotation).to.equal(undefined)
    expect(verified(held[0]!.chain, authority.trustBundle, start)).to.not.equal('OK')
  })

  it('refuses a second rotation while one is under way', async () => {
    const authority = await bench().open()
    await authority.rotate()
    const error = await authority.rotate().catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'E_CA_REFUSED')
  })

  it('makes each step of a rotation once, also when two centers look at once', async () => {
    const { open, clock } = bench()
    const [one, two] = await Promise.all([open(), open()])
    await one.rotate()
    clock.now = start + 2 * day
    await Promise.all([one.advance(), two.advance()])
    expect(one.view()).to.deep.equal(two.view())
    const leaf = two.issue({ publicKey: newKey(), uri, lifetimeMs: day })
    expect(verified(leaf.chain, one.trustBundle, clock.now)).to.equal('OK')
  })

  it('keeps its keys sealed by the operator`s key file, and says which file it needs', async () => {
    const { open, documents } = bench()
    const box = sealedBox('an operator keeps this in a file.')
    await open(box)
    const { text } = (await documents.read('authority'))!
    expect(text).to.not.include('PRIVATE KEY')
    const codes: unknown[] = []
    for (const wrong of [openBox, sealedBox('another key of an operator, as long')]) {
      const error = await open(wrong).catch((thrown: unknown) => thrown)
      expect(error).to.have.property('message').that.includes('ca.keyFile')
      codes.push((error as { code: string }).code)
    }
    expect(codes).to.deep.equal(['E_CONFIG_INVALID', 'E_CONFIG_INVALID'])
    expect((await open(box)).view().roots).to.have.length(1)
  })

  it('refuses a damaged document and another trust domain instead of making a new root', async () => {
    const { open, documents } = bench()
    await open()
    const other = await open(openBox, 'other.test').catch((thrown: unknown) => thrown)
    expect(other).to.have.property('message').that.includes('the stored authority is of mesh.test')
    const { text, revision } = (await documents.read('authority'))!
    await documents.write('authority', text.slice(0, -40), revision)
    const damaged = await open().catch((thrown: unknown) => thrown)
    expect(damaged).to.have.property('message').that.includes('damaged')
  })
})

describe('an operator`s own intermediate', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-ca-'))
    make('root')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const clock = { wall: () => Date.now() }
  const files = () => ({
    certificate: join(folder, 'ca.pem'),
    key: join(folder, 'ca.key'),
    roots: join(folder, 'root.pem'),
  })
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' })

  function make(root: string): void {
    const key = ['-newkey', 'rsa:2048', '-nodes']
    const sign = ['-addext', 'keyUsage=critical,keyCertSign']
    openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      `${root}.key`,
      '-out',
      `${root}.pem`,
      '-days',
      '9',
      '-subj',
      '/CN=root',
      ...sign,
    )
    openssl('req', ...key, '-keyout', 'ca.key', '-out', 'ca.csr', '-subj', '/CN=intermediate')
    writeFileSync(join(folder, 'ca.ext'), 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n')
    const by = ['-CA', `${root}.pem`, '-CAkey', `${root}.key`, '-CAcreateserial', '-days', '5', '-extfile', 'ca.ext']
    openssl('x509', '-req', '-in', 'ca.csr', '-out', 'ca.pem', ...by)
  }

  it('signs below it, and takes up replaced files', async () => {
    const authority = new OperatorAuthority(files(), clock)
    const first = authority.issue({ publicKey: newKey(), uri, lifetimeMs: day })
    expect(verified(first.chain, authority.trustBundle, Date.now())).to.equal('OK')
    make('root')
    await authority.advance()
    const second = authority.issue({ publicKey: newKey(), uri, lifetimeMs: day })
    expect(verified(second.chain, authority.trustBundle, Date.now())).to.equal('OK')
    expect(verified(first.chain, authority.trustBundle, Date.now())).to.not.equal('OK')
  })

  it('keeps what it has while files are half replaced', async () => {
    const authority = new OperatorAuthority(files(), clock)
    const before = authority.trustBundle
    openssl('genrsa', '-out', 'ca.key', '2048')
    const error = await authority.advance().catch((thrown: unknown) => thrown)
    expect(error).to.have.property('message').that.includes('not the key of')
    const leaf = authority.issue({ publicKey: newKey(), uri, lifetimeMs: day })
    expect(verified(leaf.chain, before, Date.now())).to.equal('OK')
  })

  it('names the file that is no authority, of another root, or missing', () => {
    make('other')
    const wrong: [Partial<ReturnType<typeof files>>, string][] = [
      [{ roots: join(folder, 'root.pem') }, 'no root that has signed'],
      [{ certificate: join(folder, 'absent.pem') }, 'cannot be read'],
      [{ key: join(folder, 'ca.pem') }, 'not a private key'],
    ]
    for (const [part, words] of wrong) {
      const open = () => new OperatorAuthority({ ...files(), roots: join(folder, 'other.pem'), ...part }, clock)
      expect(open).to.throw(words)
    }
  })
})
