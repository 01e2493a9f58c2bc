import { expect } from 'chai'

import { nextSecret, recordIv, recordKey } from '../../../../../../agent/worker/transport/tls/key-schedule.ts'
import { nodeCiphers } from '../../../../../../agent/worker/transport/tls/record-cipher.ts'
import { suiteNamed } from '../../../../../../agent/worker/transport/tls/suites.ts'
import { headerBytes } from '../../../../../../agent/worker/transport/tls/words.ts'
import { RecordPeer } from '../../../../../support/tls/record-peer.ts'
import { fuzzRecords } from '../../../../../support/tls/fuzz/record-fuzz.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'

const suite = suiteNamed('TLS_AES_128_GCM_SHA256')!
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const keyUpdate = (asks: number): Buffer => Buffer.from([24, 0, 0, 1, asks])

describe('records of TLS 1.3', () => {
  it('have the keys of RFC 8448, section 3', () => {
    const secret = hex('9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5')
    expect(recordKey(suite, secret).toString('hex')).to.equal('17422dda596ed5d9acd890e3c63f5051')
    expect(recordIv(suite, secret).toString('hex')).to.equal('5b78923dee08579033e523d9')
    const record = Buffer.alloc(headerBytes + 51 + 16)
    record.set([23, 3, 3, 0, 67])
    const content = Buffer.from(Array.from({ length: 50 }, (_, at) => at))
    nodeCiphers().create(suite, secret, true).seal(0, content, 0, 50, 23, record, headerBytes)
    expect(record.toString('hex')).to.equal(
      '1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4',
    )
    expect(nextSecret(suite, secret)).to.have.length(32)
  })

  it('may come cut anywhere, in any number at once, and with padding', async () => {
    const peer = new RecordPeer()
    const all = Buffer.concat([
      peer.record(23, 'a'.repeat(16_384)),
      peer.record(23, ''),
      peer.record(23, 'bcd', 200),
      peer.record(23, 'e'),
    ])
    for (let at = 0; at < all.length;) {
      const step = at < 40 || at > all.length - 300 ? 1 : 4000
      peer.inner.send(Buffer.from(all.subarray(at, at + step)))
      at += step
    }
    await eventually(() => peer.text.endsWith('bcde'))
    expect(peer.text).to.have.length(16_388)
  })

  it('change their keys when the peer says so, and answer with keys of ours before the next content', async () => {
    const peer = new RecordPeer()
    const parts = [peer.record(22, keyUpdate(1))]
    peer.updateKeys()
    parts.push(peer.record(23, 'new'))
    peer.inner.send(Buffer.concat(parts))
    await eventually(() => peer.text === 'new')
    expect(peer.opened()).to.deep.equal([])
    peer.write('x')
    peer.write('y')
    expect(peer.opened()).to.deep.equal([`22:${keyUpdate(0).toString('hex')}`, '23:78', '23:79'])
  })

  it('tell the end of the peer, and nothing of what follows it', async () => {
    const peer = new RecordPeer()
    peer.inner.send(
      Buffer.concat([peer.record(23, 'last'), peer.record(21, Buffer.from([1, 0])), Buffer.from('garbage')]),
    )
    await eventually(() => peer.told.length === 1)
    expect(peer.told).to.deep.equal(['end'])
    peer.write('answer')
    expect(peer.opened()).to.deep.equal([`23:${Buffer.from('answer').toString('hex')}`])
    peer.inner.sendEnd()
    peer.transport.close()
    expect(peer.opened()).to.deep.equal(['21:0100'])
    expect(peer.events).to.deep.equal([])
  })

  it('without an end of the peer are truncated', async () => {
    const peer = new RecordPeer()
    peer.inner.send(peer.record(23, 'half'))
    peer.inner.sendEnd()
    await eventually(() => peer.told.length === 1)
    expect(peer.told).to.deep.equal(['ECONNRESET'])
    expect(peer.events).to.deep.equal(['truncated'])
  })

  const faults: readonly (readonly [string, (peer: RecordPeer) => Buffer, string])[] = [
    ['a changed bit', (peer) => flipped(peer.record(23, 'hello'), 8), 'bad_record_mac'],
    ['a record that comes twice', (peer) => twice(peer.record(23, 'hello')), 'bad_record_mac'],
    ['no encryption', () => Buffer.from('1603030005010203040506', 'hex'), 'unexpected_message'],
    ['change_cipher_spec', () => Buffer.from('140303000101', 'hex'), 'unexpected_message'],
    ['HTTP', () => Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'unexpected_message'],
    ['a record that is too long', () => Buffer.from('1703034101', 'hex'), 'record_overflow'],
    ['content that is too long', (peer) => peer.record(23, 'a'.repeat(16_385)), 'record_overflow'],
    [
      'a record without anything',
      () => Buffer.from('17030300100123456789abcdef0123456789abcdef', 'hex'),
      'bad_record_mac',
    ],
    ['nothing but padding', (peer) => peer.record(0, ''), 'unexpected_message'],
    ['an unknown type', (peer) => peer.record(99, 'a'), 'unexpected_message'],
    [
      'a second hello, as a renegotiation has it',
      (peer) => peer.record(22, Buffer.from([1, 0, 0, 1, 0])),
      'unexpected_message',
    ],
    ['a wish to renegotiate', (peer) => peer.record(22, Buffer.from([0, 0, 0, 0])), 'unexpected_message'],
    ['a second Finished', (peer) => peer.record(22, Buffer.from([20, 0, 0, 1, 0])), 'unexpected_message'],
    ['a certificate request', (peer) => peer.record(22, Buffer.from([13, 0, 0, 1, 0])), 'unexpected_message'],
    ['a ticket from a client', (peer) => peer.record(22, Buffer.from([4, 0, 0, 1, 0])), 'unexpected_message'],
    ['a KeyUpdate of two bytes', (peer) => peer.record(22, Buffer.from([24, 0, 0, 2, 0, 0])), 'decode_error'],
    ['a KeyUpdate that asks for 2', (peer) => peer.record(22, keyUpdate(2)), 'illegal_parameter'],
    ['a message behind a KeyUpdate', (peer) => peer.record(22, twice(keyUpdate(0))), 'unexpected_message'],
    [
      'content inside of a message',
      (peer) => Buffer.concat([peer.record(22, Buffer.from([24, 0])), peer.record(23, 'a')]),
      'unexpected_message',
    ],
    [
      'a flood of empty records',
      (peer) => Buffer.concat(Array.from({ length: 40 }, () => peer.record(23, ''))),
      'unexpected_message',
    ],
    [
      'a flood of KeyUpdates',
      (peer) => Buffer.concat(Array.from({ length: 40 }, () => updated(peer))),
      'unexpected_message',
    ],
  ]
  for (const [what, make, alert] of faults) {
    it(`end with ${alert} at ${what}`, async () => {
      const peer = new RecordPeer()
      peer.inner.send(Buffer.concat([peer.record(23, 'good'), make(peer)]))
      await eventually(() => peer.told.length === 1)
      expect(peer.events).to.deep.equal([`fault ${alert}`])
      expect(peer.told).to.deep.equal(['EPROTO'])
      expect(peer.text.startsWith('good')).to.equal(true)
      expect(peer.opened().at(-1)).to.match(/^21:02/)
      expect(peer.inner.isClosed).to.equal(true)
    })
  }

  it('end when the peer says that something is wrong', async () => {
    const peer = new RecordPeer('client')
    peer.inner.send(peer.record(21, Buffer.from([2, 42])))
    await eventually(() => peer.told.length === 1)
    expect(peer.events).to.deep.equal(['alert 42'])
  })

  it('carry tickets of a server, which are not used, whole or in parts', async () => {
    const peer = new RecordPeer('client')
    const ticket = Buffer.concat([Buffer.from([4, 0, 0x4e, 0x20]), Buffer.alloc(20_000)])
    peer.inner.send(
      Buffer.concat([
        peer.record(22, ticket.subarray(0, 16_000)),
        peer.record(22, ticket.subarray(16_000)),
        peer.record(23, 'content'),
      ]),
    )
    await eventually(() => peer.text === 'content')
    expect(peer.events).to.deep.equal([])
  })
})

describe('fuzzing records of TLS', () => {
  it('whatever a peer says, what is right comes out whole and what is wrong ends it (5,000 records of a fixed seed)', async () => {
    const totals = await fuzzRecords(20_261_129, 5000)
    expect(totals.moves).to.be.greaterThan(100)
    expect(totals.ended).to.be.within(100, totals.connections - 50)
  }).timeout(60_000)
})

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at]! ^= 1
  return bytes
}

function twice(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, bytes])
}

function updated(peer: RecordPeer): Buffer {
  const record = peer.record(22, keyUpdate(0))
  peer.updateKeys()
  return record
}
