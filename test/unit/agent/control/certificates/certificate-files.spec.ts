import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'chai'

import { CertificateFiles, readIdentity } from '../../../../../agent/control/certificates/certificate-files.ts'
import type { WorkloadCertificates } from '../../../../../contracts/workload-certificate.ts'
import { isSpiffeId } from '../../../../../contracts/spiffe-id.ts'
import { Authority } from '../../../../support/tls/authority.ts'
import type { Issued } from '../../../../support/tls/authority.ts'
import { recordingLog, recordingMetrics } from '../support/fake-registry.ts'

const id = 'spiffe://mesh.test/ns/default/sa/app'

describe('identities from files', () => {
  const authority = new Authority()
  let folder: string
  let waiting: (() => void)[]
  let told: WorkloadCertificates[]
  const files = () => ({
    certificate: join(folder, 'a.pem'),
    key: join(folder, 'a.key'),
    trustBundle: join(folder, 'roots.pem'),
  })
  const metrics = recordingMetrics()
  const log = recordingLog()

  function write({ certificate, key }: Issued, bundle = authority.certificate): void {
    writeFileSync(files().certificate, certificate)
    writeFileSync(files().key, key, { mode: 0o600 })
    writeFileSync(files().trustBundle, bundle)
  }

  function open(): CertificateFiles {
    const clock = {
      wall: () => Date.now(),
      monotonic: () => 0,
      after: (_ms: number, call: () => void) => {
        waiting.push(call)
        return () => undefined
      },
    }
    return new CertificateFiles({ clock, log, metrics, onCertificates: (found) => told.push(found) })
  }

  const tick = (): void => waiting.splice(0).forEach((call) => call())

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-certificates-'))
    waiting = []
    told = []
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('reads the id from the certificate, and the set anew when a file changed', () => {
    write(authority.leaf(id))
    const source = open()
    source.configure([files()])
    expect(told).to.have.length(1)
    expect(told[0]![0]).to.include({ id, trustBundle: authority.certificate })
    tick()
    expect(told).to.have.length(1)
    const next = authority.leaf(id, { to: 7_200_000 })
    write(next)
    tick()
    expect(told).to.have.length(2)
    expect(told[1]![0]!.chain).to.equal(next.certificate)
    source.configure([])
    expect(told[2]).to.deep.equal([])
  })

  it('keeps what it read while a file is half replaced, and says which', () => {
    const first = authority.leaf(id)
    write(first)
    const source = open()
    source.configure([files()])
    writeFileSync(files().key, authority.leaf(id).key)
    tick()
    expect(told.at(-1)![0]!.key).to.equal(first.key)
    expect(metrics.total('certificate_refusals')).to.equal(1)
    const said = JSON.stringify(log.lines.at(-1))
    expect(said).to.include(`${files().key}: is not the key of ${files().certificate}`)
    expect(said).to.not.include('PRIVATE KEY')
    expect(source.problems().join()).to.include('is not the key of').and.to.include('the one read before stays in use')
    write(first)
    tick()
    expect(source.problems()).to.deep.equal([])
  })

  it('keeps what it read while a file may not even be looked at', () => {
    write(authority.leaf(id))
    const source = open()
    source.configure([files()])
    rmSync(files().key)
    symlinkSync(files().key, files().key)
    tick()
    expect(told.at(-1)).to.have.length(1)
    expect(JSON.stringify(log.lines.at(-1))).to.include(files().key)
  })

  const end = '\n-----END CERTIFICATE-----\n'
  const withIntermediate = (...rest: readonly string[]): ReturnType<Authority['leaf']> => {
    const leaf = authority.leaf(id)
    return { ...leaf, certificate: `${leaf.certificate}-----BEGIN CERTIFICATE-----\nMIIB${rest.join('')}` }
  }
  const bad: readonly (readonly [string, () => void, string])[] = [
    ['two URIs', () => write(authority.leaf(id, { uris: [id, `${id}2`] })), 'allowed one URI'],
    ['no URI', () => write(authority.leaf(id, { uris: [], dns: ['a.test'] })), 'allowed one URI'],
    ['a URI that is no SPIFFE id', () => write(authority.leaf('https://mesh.test/a')), 'allowed one URI'],
    ['no certificate', () => write({ ...authority.leaf(id), certificate: 'none' }), 'holds no certificate in PEM'],
    ['a damaged intermediate', () => write(withIntermediate('damaged', end)), 'certificate 2 cannot be read'],
    ['an intermediate that is half written', () => write(withIntermediate('')), 'certificate 2 cannot be read'],
    ['no key', () => write({ ...authority.leaf(id), key: 'none' }), 'holds no private key in PEM'],
    ['no root', () => write(authority.leaf(id), 'none'), 'roots.pem: holds no certificate in PEM'],
  ]
  for (const [name, prepare, message] of bad) {
    it(`refuses ${name}, by the name of the file`, () => {
      prepare()
      expect(() => readIdentity(files())).to.throw(message)
    })
  }

  it('takes SPIFFE ids as the standard spells them', () => {
    for (const good of [id, 'spiffe://a', 'spiffe://a.b_c-1/x']) expect(isSpiffeId(good), good).to.equal(true)
    for (const wrong of [
      'spiffe://',
      'spiffe://A/b',
      'spiffe://a/',
      'spiffe://a//b',
      'spiffe://a/../b',
      'spiffe://a:1/b',
    ])
      expect(isSpiffeId(wrong), wrong).to.equal(false)
  })

  it('takes no key that others can read, and goes on with the one before, until it is closed to them', () => {
    const first = authority.leaf(id)
    write(first)
    const source = open()
    source.configure([files()])
    const next = authority.leaf(id)
    write(next)
    chmodSync(files().key, 0o644)
    tick()
    expect(told.at(-1)![0]!.key).to.equal(first.key)
    expect(source.problems().join()).to.include(`${files().key}: others may read or write it; chmod 600`)
    for (const mode of [0o640, 0o600]) {
      chmodSync(files().key, mode)
      tick()
      expect([told.at(-1)![0]!.key, source.problems()]).to.deep.equal([next.key, []])
    }
  })
})
