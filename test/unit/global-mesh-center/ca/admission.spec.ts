import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Admission } from '../../../../global-mesh-center/ca/admission.ts'
import { readAdmission } from '../../../../global-mesh-center/ca/admission-state.ts'
import type { CaDocuments } from '../../../../global-mesh-center/ca/documents.ts'
import { fileDocuments } from '../../../../global-mesh-center/ca/file-documents.ts'
import { isHostPattern, isIdentityPattern, refusalOf } from '../../../../global-mesh-center/ca/grants.ts'
import { processMark } from '../../../../native/process-mark.ts'
import { memoryDocuments } from '../../../support/ca/memory-documents.ts'
import { refusal, trustDomain } from '../../../support/ca/authority-bench.ts'

const pin = 'ab'.repeat(32)
const hour = 3_600_000

describe('who may ask for which identity', () => {
  const asks = (uri: string, granted: string[], grants: { hosts: string[]; identities: string[] }[] = []) =>
    refusalOf({ kind: 'host', host: 'web-1' }, uri, 'mesh.test', granted, grants) ?? 'granted'

  it('goes by the patterns of the token and of the list, part by part', () => {
    const orders = 'spiffe://mesh.test/ns/shop/sa/orders'
    expect(asks(orders, [])).to.include('nothing is granted to it')
    expect(asks(orders, ['ns/shop/sa/orders'])).to.equal('granted')
    expect(asks(orders, ['ns/shop/sa/*'])).to.equal('granted')
    expect(asks(orders, ['ns/*/sa/ord*'])).to.equal('granted')
    expect(asks(orders, ['ns/shop/sa/order'])).to.include('not granted')
    expect(asks(orders, ['ns/shop2/sa/*', 'ns/sh/sa/*'])).to.include('not granted')
    expect(asks(orders, [], [{ hosts: ['web-*'], identities: ['ns/shop/sa/*'] }])).to.equal('granted')
    expect(asks(orders, [], [{ hosts: ['db-*', 'web'], identities: ['ns/shop/sa/*'] }])).to.include('not granted')
  })

  it('never grants what is no name of a workload', () => {
    const all = ['ns/*/sa/*']
    for (const uri of [
      'spiffe://mesh.test/ns/shop/sa/..',
      'spiffe://mesh.test/ns/shop/sa/a/b',
      'spiffe://mesh.test/ns//sa/a',
      'spiffe://mesh.test/center',
      'spiffe://mesh.test/host/web-2',
      'spiffe://MESH.test/ns/shop/sa/a',
      'spiffe://mesh.test:80/ns/shop/sa/a',
      'https://mesh.test/ns/shop/sa/a',
      `spiffe://mesh.test/ns/shop/sa/${'a'.repeat(3000)}`,
    ])
      expect(asks(uri, all), uri).to.not.equal('granted')
  })

  it('knows a pattern from what is none', () => {
    expect(['ns/a/sa/b', 'ns/*/sa/*', 'ns/a-*/sa/b.c'].map(isIdentityPattern)).to.deep.equal([true, true, true])
    const bad = ['*', 'ns/a/sa/', 'ns//sa/b', 'ns/a*b/sa/c', 'ns/a/sa/b/c', 'ns/a/sa/b\n']
    expect(bad.map(isIdentityPattern)).to.deep.equal(bad.map(() => false))
    expect(['web-1', 'web-*', '*'].map(isHostPattern)).to.deep.equal([true, true, true])
    expect(['', 'a*b', 'a/b'].map(isHostPattern)).to.deep.equal([false, false, false])
  })
})

describe('the admissions of the authority', () => {
  it('tell the hosts that are denied, by name or by certificate, at the start and after each change anywhere', async () => {
    const documents = memoryDocuments()
    const clock = { wall: () => 1000 }
    const told: string[] = []
    const tell = (hosts: readonly string[]) => void told.push(hosts.join(' '))
    const one = await Admission.open(documents, clock, trustDomain, tell)
    await one.deny('host', 'web-1', 'stolen')
    const other = await Admission.open(documents, clock, trustDomain)
    await other.deny('identity', 'spiffe://mesh.test/host/web-2', 'stolen')
    await other.deny('identity', 'spiffe://mesh.test/ns/a/sa/b', 'an application is no host')
    await one.refresh()
    await one.refresh()
    await one.allow('host', 'web-1')
    expect(told).to.deep.equal(['', 'web-1', 'web-1 web-2', 'web-2'])
  })

  it('deny a name however it is written, and nothing that could be no name', async () => {
    const admission = await Admission.open(memoryDocuments(), { wall: () => 0 }, trustDomain)
    const workload = 'spiffe://mesh.test/ns/shop/sa/cart'
    for (const written of ['ns/shop/sa/cart', workload]) {
      expect(await admission.deny('identity', written, 'stolen')).to.equal(workload)
      expect(admission.denial('identity', workload)?.reason).to.equal('stolen')
      expect(await admission.allow('identity', written)).to.equal(workload)
      expect(admission.denial('identity', workload)).to.equal(undefined)
    }
    for (const written of ['0A:BF:01', '0abf01', 'ABF01', '00:0a:bf:01']) {
      await admission.deny('serial', written, 'leaked')
      expect(admission.denial('serial', '0abf01')?.reason, written).to.equal('leaked')
      await admission.allow('serial', written)
      expect(admission.view().denied).to.deep.equal([])
    }
    const wrong = {
      host: ['', 'spiffe://mesh.test/host/web-1', 'web-1 ', 'web/1', '-web', 'web-*'],
      identity: ['', 'cart', 'ns/shop/sa/*', 'ns/shop/cart', 'spiffe://other.test/ns/shop/sa/cart', `${workload}/`],
      serial: ['', '4A-BF', '4A:B', 'serial=4ABF', '0', 'web-1', 'ab'.repeat(21)],
    } as const
    for (const kind of ['host', 'identity', 'serial'] as const)
      for (const text of wrong[kind])
        expect(await refusal(admission.deny(kind, text, 'by mistake')), `${kind} "${text}"`).to.match(
          new RegExp(`^E_CA_REFUSED ${kind}: found ".*", allowed `),
        )
    expect(await refusal(admission.allow('host', 'web-1'))).to.equal('E_CA_REFUSED host web-1 is not denied')
    expect(admission.view().denied).to.deep.equal([])
  })

  it('deny a host also by the name in its certificate, each taken back by itself', async () => {
    const admission = await Admission.open(memoryDocuments(), { wall: () => 0 }, trustDomain)
    await admission.deny('identity', 'host/web-1', 'stolen')
    expect(admission.denial('host', 'web-1')?.reason).to.equal('stolen')
    expect(await refusal(admission.allow('host', 'web-1'))).to.include('is not denied')
    await admission.allow('identity', 'spiffe://mesh.test/host/web-1')
    expect(admission.denial('host', 'web-1')).to.equal(undefined)
  })

  it('mean what was denied before names were looked at, and let it be taken back', async () => {
    const denied = [
      { kind: 'identity', value: 'ns/shop/sa/cart', reason: 'stolen', at: 0 },
      { kind: 'serial', value: '4a:bf', reason: 'leaked', at: 0 },
      { kind: 'identity', value: 'ns/shop/sa/*', reason: 'no name', at: 0 },
    ]
    const documents = memoryDocuments()
    await documents.write('admission', JSON.stringify({ format: 1, tokens: [], hosts: {}, denied }), undefined)
    const admission = await Admission.open(documents, { wall: () => 0 }, trustDomain)
    expect(admission.denial('identity', 'spiffe://mesh.test/ns/shop/sa/cart')?.reason).to.equal('stolen')
    expect(admission.denial('serial', '4abf')?.reason).to.equal('leaked')
    for (const { kind, value } of denied) await admission.allow(kind as 'identity' | 'serial', value)
    expect(admission.view().denied).to.deep.equal([])
  })

  it('are the same for two centers with one store, a used token included', async () => {
    const documents = memoryDocuments()
    const clock = { wall: () => 1000 }
    const [one, two] = await Promise.all([
      Admission.open(documents, clock, trustDomain),
      Admission.open(documents, clock, trustDomain),
    ])
    const wishes = { host: 'web-1', identities: ['ns/a/sa/b'], isReusable: false, lifetimeMs: hour }
    const { text } = await one.makeToken(wishes, pin)
    const [, id = '', secret = ''] = text.split('.')
    const use = (admission: Admission) => refusal(admission.join({ id, secret, pin }, 'web-1'))
    const ends = await Promise.all([use(one), use(two)])
    expect(ends.filter((words) => words === 'resolved')).to.have.length(1)
    await Promise.all([one.refresh(), two.refresh()])
    expect(one.view()).to.deep.equal(two.view())
    expect(two.grantedTo('web-1')).to.deep.equal(['ns/a/sa/b'])
    expect((await documents.read('admission'))!.text).to.not.include(secret)
  })

  it('outlive their document while a center knows them: it writes them again, and says so once', async () => {
    let text: string | undefined
    let revision = 0
    let isReadOnly = false
    const documents: CaDocuments = {
      read: async () => (text === undefined ? undefined : { text, revision: String(revision) }),
      write: async (_name, next, seen) => {
        if (isReadOnly) throw new Error('no room')
        if (seen !== (text === undefined ? undefined : String(revision))) return false
        text = next
        revision++
        return true
      },
    }
    const admission = await Admission.open(documents, { wall: () => 1000 }, trustDomain)
    await admission.refresh()
    await admission.deny('host', 'web-1', 'stolen')
    const before = text
    text = undefined
    isReadOnly = true
    expect(await refusal(admission.refresh())).to.include('no room')
    expect(admission.denial('host', 'web-1')?.reason).to.equal('stolen')
    isReadOnly = false
    expect(await refusal(admission.refresh())).to.match(/^E_CONFIG_INVALID .*were gone.*0 tokens, 0 hosts, 1 denied/)
    expect(await refusal(admission.refresh())).to.equal('resolved')
    expect([text, admission.denial('host', 'web-1')?.reason]).to.deep.equal([before, 'stolen'])
    // gone again, and changed before anybody looked
    text = undefined
    await admission.deny('host', 'web-2', 'lost')
    await admission.refresh()
    const denied = (text === undefined ? [] : readAdmission(text, trustDomain).denied).map(({ value }) => value)
    expect(denied).to.deep.equal(['web-1', 'web-2'])
  })

  it('refuse wishes for a token by name', async () => {
    const admission = await Admission.open(memoryDocuments(), { wall: () => 0 }, trustDomain)
    const good = { host: 'web-1', identities: [], isReusable: false, lifetimeMs: hour }
    const bad: [object, string][] = [
      [{ host: 'a/b' }, 'host: found "a/b"'],
      [{ host: '__proto__' }, 'host: found'],
      [{ identities: ['orders'] }, 'identities: found "orders"'],
      [{ lifetimeMs: 31 * 24 * hour }, 'allowed 1 s to 30 days'],
      [{ lifetimeMs: Number.NaN }, 'allowed 1 s to 30 days'],
    ]
    for (const [part, words] of bad)
      expect(await refusal(admission.makeToken({ ...good, ...part }, pin))).to.include(words)
  })

  it('know a host by the name of an object`s own parts as any other', async () => {
    const admission = await Admission.open(memoryDocuments(), { wall: () => 0 }, trustDomain)
    expect(admission.grantedTo('constructor')).to.deep.equal([])
    const wishes = { host: 'constructor', identities: ['ns/a/sa/b'], isReusable: false, lifetimeMs: hour }
    const [, id = '', secret = ''] = (await admission.makeToken(wishes, pin)).text.split('.')
    await admission.join({ id, secret, pin }, 'constructor')
    await admission.refresh()
    expect(admission.grantedTo('constructor')).to.deep.equal(['ns/a/sa/b'])
    expect(admission.grantedTo('toString')).to.deep.equal([])
  })
})

describe('documents of the authority in files', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-ca-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('are for the owner alone, and written only by who has seen the newest', async () => {
    const documents = fileDocuments(join(folder, 'ca'))
    expect(await documents.read('authority')).to.equal(undefined)
    expect(await documents.write('authority', 'one', undefined)).to.equal(true)
    expect(await documents.write('authority', 'two', undefined)).to.equal(false)
    const found = (await documents.read('authority'))!
    expect(found.text).to.equal('one')
    expect(await documents.write('authority', 'two', found.revision)).to.equal(true)
    expect(statSync(join(folder, 'ca', 'authority.json')).mode & 0o777).to.equal(0o600)
    expect(statSync(join(folder, 'ca')).mode & 0o777).to.equal(0o700)
  })

  it('are written again after a process died in the middle', async () => {
    const documents = fileDocuments(join(folder, 'ca'))
    writeFileSync(join(folder, 'ca', 'authority.json.lock'), '999999999')
    await documents.write('authority', 'one', undefined)
    expect(await documents.write('authority', 'one', undefined)).to.equal(true)
  })

  it('are written again also where another process has the number of the one that died', async () => {
    const documents = fileDocuments(join(folder, 'ca'))
    const lock = join(folder, 'ca', 'authority.json.lock')
    const [pid, start, boot] = processMark(process.ppid)!.split(' ') as [string, string, string]
    const leftOver = [
      String(process.pid),
      processMark(process.pid)!,
      `${process.pid} 1 ${boot}`,
      `${pid} ${Number(start) + 1} ${boot}`,
      `${pid} ${start} another-boot`,
    ]
    for (const mark of leftOver) {
      writeFileSync(lock, mark)
      await documents.write('authority', mark, (await documents.read('authority'))?.revision)
      expect(await documents.write('authority', mark, (await documents.read('authority'))?.revision), mark).to.equal(
        true,
      )
      expect(existsSync(lock)).to.equal(false)
    }
  })

  it('are left to another living process that is writing them', async () => {
    const documents = fileDocuments(join(folder, 'ca'))
    const lock = join(folder, 'ca', 'authority.json.lock')
    for (const mark of [processMark(process.ppid)!, String(process.ppid)]) {
      writeFileSync(lock, mark)
      for (let tries = 0; tries < 3; tries++)
        expect(await documents.write('authority', 'one', undefined), mark).to.equal(false)
      expect(readFileSync(lock, 'utf8')).to.equal(mark)
    }
  })
})
