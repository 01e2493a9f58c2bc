import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'chai'

import { CredentialFolder } from '../../../../../agent/control/certificates/credential-folder.ts'
import type { ClientCredential } from '../../../../../contracts/workload-certificate.ts'
import { Authority } from '../../../../support/tls/authority.ts'
import { recordingLog, recordingMetrics } from '../support/fake-registry.ts'
import { manualClock } from '../../../../support/manual-clock.ts'

describe('credentials from a folder', () => {
  const authority = new Authority()
  const clock = manualClock()
  const log = recordingLog()
  let folder: string
  let told: (readonly ClientCredential[])[]
  let source: CredentialFolder

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-credentials-'))
    told = []
    log.lines.length = 0
    source = new CredentialFolder({ clock, log, metrics: recordingMetrics(), onCredentials: (all) => told.push(all) })
  })
  afterEach(() => {
    source.close()
    rmSync(folder, { recursive: true, force: true })
  })

  function write(name: string, files: Record<string, string>, mode = 0o600): void {
    mkdirSync(join(folder, name), { recursive: true })
    for (const [file, text] of Object.entries(files)) {
      rmSync(join(folder, name, file), { force: true })
      writeFileSync(join(folder, name, file), text, { mode })
    }
  }

  const names = (): string[] => (told.at(-1) ?? []).map(({ name }) => name)
  const said = (): string => log.lines.map(({ message }) => message).join('\n')

  it('are known by the name of their folder, whole, and read again when a file changes', () => {
    const { certificate, key } = authority.leaf()
    write('partner', { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority.certificate })
    write('roots-only', { 'ca.crt': authority.certificate })
    source.configure(folder)
    expect(told.at(-1)).to.deep.equal([
      { name: 'partner', chain: certificate, key, roots: authority.certificate },
      { name: 'roots-only', roots: authority.certificate },
    ])
    const next = authority.leaf()
    write('partner', { 'tls.crt': next.certificate, 'tls.key': next.key })
    clock.advance(2000)
    expect(told.at(-1)![0]).to.include({ chain: next.certificate, key: next.key })
    const count = told.length
    clock.advance(10_000)
    expect(told).to.have.length(count)
    rmSync(join(folder, 'roots-only'), { recursive: true })
    clock.advance(2000)
    expect(names()).to.deep.equal(['partner'])
  })

  it('that cannot be used leave what was read before, and say why without a byte of the key', () => {
    const one = authority.leaf()
    const other = authority.leaf()
    write('partner', { 'tls.crt': one.certificate, 'tls.key': one.key })
    write('alone', { 'tls.crt': one.certificate })
    write('empty', {})
    write('garbage', { 'ca.crt': 'no certificate' })
    source.configure(folder)
    expect(names()).to.deep.equal(['partner'])
    expect(said()).to.include('tls.crt and tls.key stand together')
    expect(said()).to.include('holds neither tls.crt with tls.key nor ca.crt')
    expect(said()).to.include('holds no certificate in PEM')
    write('partner', { 'tls.key': other.key })
    clock.advance(2000)
    expect(told.at(-1)![0]).to.include({ chain: one.certificate, key: one.key })
    expect(said()).to.include('is not the key of')
    write('partner', { 'tls.crt': `${one.certificate}-----BEGIN CERTIFICATE-----\nMIIB`, 'tls.key': one.key })
    clock.advance(2000)
    expect(told.at(-1)![0], 'half written').to.include({ chain: one.certificate, key: one.key })
    expect(said()).to.include('tls.crt: certificate 2 cannot be read')
    chmodSync(join(folder, 'partner', 'tls.key'), 0o644)
    clock.advance(2000)
    expect(said()).to.include('others may read or write it')
    expect(said()).to.not.include('PRIVATE KEY')
    const problems = source.problems().toSorted().join('\n')
    expect(source.problems(), problems).to.have.length(4)
    expect(problems).to.include(
      'others may read or write it; chmod 600, or 640 with a group of its own; what was read before stays in use',
    )
    write('partner', { 'tls.crt': one.certificate, 'tls.key': one.key })
    for (const name of ['alone', 'empty', 'garbage']) rmSync(join(folder, name), { recursive: true })
    clock.advance(2000)
    expect(source.problems()).to.deep.equal([])
  })

  it('whose files may not even be looked at are told, and end nobody; the others are read', () => {
    mkdirSync(join(folder, 'circle'))
    symlinkSync('tls.key', join(folder, 'circle', 'tls.key'))
    write('roots-only', { 'ca.crt': authority.certificate })
    source.configure(folder)
    expect(names()).to.deep.equal(['roots-only'])
    expect(said()).to.include(join(folder, 'circle'))
    clock.advance(2000)
    expect(names()).to.deep.equal(['roots-only'])
  })

  it('are none without a folder', () => {
    source.configure(join(folder, 'not-there'))
    expect(told).to.deep.equal([])
  })
})
