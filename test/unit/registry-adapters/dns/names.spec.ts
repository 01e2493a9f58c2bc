import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { systemClock } from '../../../../contracts/clock.ts'
import type { MeshError } from '../../../../contracts/errors.ts'
import { createNames } from '../../../../registry-adapters/dns/index.ts'
import { hostsIn, nameServersIn } from '../../../../registry-adapters/dns/system-files.ts'
import { a, startNameServer } from '../../../support/dns/server.ts'
import type { NameServerDouble } from '../../../support/dns/server.ts'

describe('names of ServiceEntries', () => {
  let server: NameServerDouble
  let folder: string
  beforeEach(async () => {
    server = await startNameServer()
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-names-'))
  })
  afterEach(async () => {
    await server.stop()
    rmSync(folder, { recursive: true })
  })
  const names = (options: { hosts?: string; system?: (name: string) => Promise<readonly string[]>; own?: boolean }) => {
    const hostsFile = join(folder, 'hosts')
    writeFileSync(hostsFile, options.hosts ?? '')
    const resolvFile = join(folder, 'resolv.conf')
    writeFileSync(resolvFile, '')
    return createNames({
      servers: options.own === false ? [] : [{ host: '127.0.0.1', port: server.port }],
      clock: systemClock,
      random: Math.random,
      hostsFile,
      resolvFile,
      timeoutMs: 300,
      system: options.system ?? (() => Promise.reject(new Error('ENOTFOUND'))),
    })
  }

  it('stand in the hosts file first, then at the name servers, with the time that these give', async () => {
    server.set('db.example.com', { records: [a('db.example.com', '10.0.0.2', 42), a('db.example.com', '10.0.0.1', 7)] })
    const resolve = names({ hosts: '# the file\n10.9.9.9 Printer printer.local # in the corner\n10.9.9.8 printer\n' })
    expect(await resolve('db.example.com')).to.deep.equal({ addresses: ['10.0.0.1', '10.0.0.2'], ttlMs: 7000 })
    expect(await resolve('printer')).to.deep.include({ addresses: ['10.9.9.8', '10.9.9.9'] })
    expect(server.questions.some((one) => one.startsWith('printer'))).to.equal(false)
  })

  it('are asked for once at a time, whoever asks', async () => {
    server.set('db.example.com', { records: [a('db.example.com', '10.0.0.1')] })
    const resolve = names({})
    await Promise.all([resolve('db.example.com'), resolve('db.example.com'), resolve('db.example.com')])
    expect(server.questions.filter((one) => one === 'db.example.com a' || one === 'db.example.com A')).to.have.length(1)
  })

  it('that do not exist, and those that nobody can tell, are told apart', async () => {
    server.set('broken.example.com', { rcode: 'SERVFAIL' })
    const resolve = names({})
    const codeOf = (name: string): Promise<string> =>
      resolve(name).then(
        () => 'none',
        (error: unknown) => (error as MeshError).code,
      )
    expect(await codeOf('nowhere.example.com')).to.equal('E_ROUTE_UNKNOWN_SERVICE')
    expect(await codeOf('broken.example.com')).to.equal('E_REGISTRY_PROTOCOL')
    server.isSilent = true
    expect(await codeOf('db.example.com')).to.equal('E_REGISTRY_TIMEOUT')
  })

  it('are left to the system where no name server is named, which knows search lists and other ways', async () => {
    const asked: string[] = []
    const resolve = names({
      own: false,
      system: (name) => {
        asked.push(name)
        return Promise.resolve(['10.0.0.2', '10.0.0.1'])
      },
    })
    expect(await resolve('short')).to.deep.equal({ addresses: ['10.0.0.1', '10.0.0.2'], ttlMs: 30_000 })
    expect(asked).to.deep.equal(['short'])
  })

  it('the files of the system are read as the system reads them', () => {
    const text =
      'search example.com\nnameserver 10.0.0.1\nnameserver nonsense\n nameserver fe80::1%eth0\nnameserver 10.0.0.2\nnameserver 10.0.0.3'
    expect(nameServersIn(text).map(({ host }) => host)).to.deep.equal(['10.0.0.1', 'fe80::1%eth0', '10.0.0.2'])
    expect([...hostsIn('::1 localhost\n127.0.0.1 localhost\nnonsense x\n')]).to.deep.equal([
      ['localhost', ['::1', '127.0.0.1']],
    ])
  })
})
