import { once } from 'node:events'
import { connect } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { expect } from 'chai'

import { proveCiphers } from '../../../../../../agent/worker/transport/tls/select-ciphers.ts'
import { spiffeCheck } from '../../../../../../agent/worker/transport/tls/peer-check.ts'
import { nodeCiphers } from '../../../../../../agent/worker/transport/tls/record-cipher.ts'
import { Authority } from '../../../../../support/tls/authority.ts'
import type { Issued } from '../../../../../support/tls/authority.ts'
import { SecureSockets, workload } from '../../../../../support/tls/secure-sockets.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'

const authority = new Authority()
const other = new Authority('another root')
const idOf = (name: string) => `spiffe://mesh.test/ns/default/sa/${name}`
const [alice, bob] = ['alice', 'bob'].map((name) => workload(authority, authority.leaf(idOf(name)), idOf(name))) as [
  ReturnType<typeof workload>,
  ReturnType<typeof workload>,
]
const hour = 3_600_000

/** What is wrong, its reason, and the alert by OpenSSL's word and by number. */
const bad: readonly (readonly [string, () => Issued | undefined, string, string])[] = [
  ['of another authority', () => other.leaf(idOf('bob')), 'unknown_authority', 'UNKNOWN_CA'],
  [
    'that has expired',
    () => authority.leaf(idOf('bob'), { from: -2 * hour, to: -hour }),
    'expired',
    'CERTIFICATE_EXPIRED',
  ],
  [
    'that is not yet valid',
    () => authority.leaf(idOf('bob'), { from: hour, to: 2 * hour }),
    'not_yet_valid',
    'BAD_CERTIFICATE',
  ],
  ['with another id', () => authority.leaf(idOf('mallory')), 'wrong_identity', 'ACCESS_DENIED'],
  [
    'with two ids',
    () => authority.leaf('', { uris: [idOf('bob'), idOf('mallory')] }),
    'wrong_identity',
    'ACCESS_DENIED',
  ],
  [
    'with a DNS name that looks like an id',
    () => authority.leaf('', { uris: [], dns: [`x, URI:${idOf('bob')}`] }),
    'wrong_identity',
    'ACCESS_DENIED',
  ],
]

describe('a peer whose certificate is not good', () => {
  let sockets: SecureSockets

  beforeEach(() => {
    sockets = new SecureSockets(nodeCiphers())
  })
  afterEach(() => sockets.close())

  async function alertOf(socket: TLSSocket): Promise<string> {
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    return String(error.code)
  }

  for (const [what, make, reason, alert] of bad) {
    it(`is refused as a caller, ${what}: ${reason}`, async () => {
      const { outcomes, port } = await sockets.serve(alice, spiffeCheck([bob.id]))
      const { certificate, key } = make()!
      const socket = sockets.nodeClient(port, { cert: certificate, key, ca: authority.certificate })
      expect(await alertOf(socket)).to.match(new RegExp(`ALERT_${alert}$`))
      await eventually(() => outcomes.length === 1)
      expect(outcomes[0]).to.deep.equal({ side: undefined, reason })
    })

    it(`is refused as an endpoint, ${what}, and does not see our certificate`, async () => {
      const { certificate, key } = make()!
      let code = ''
      let seen: unknown
      const port = await sockets.nodeServer({ cert: certificate, key, ca: authority.certificate }, (socket) => {
        seen = socket.getPeerX509Certificate()
      })
      sockets.onServerError = (error) => (code = String(error.code))
      const outcome = await sockets.dial(port, alice, spiffeCheck([bob.id]))
      expect(outcome).to.deep.equal({ side: undefined, reason })
      await eventually(() => code !== '')
      expect(code).to.match(new RegExp(`ALERT_${alert}$`))
      expect(seen).to.equal(undefined)
    })
  }

  it('is refused as a caller without any: certificate_required', async () => {
    const { outcomes, port } = await sockets.serve(alice)
    const socket = sockets.nodeClient(port, { ca: authority.certificate })
    expect(await alertOf(socket)).to.match(/CERTIFICATE_REQUIRED/)
    await eventually(() => outcomes.length === 1)
    expect(outcomes[0]!.reason).to.equal('no_certificate')
  })

  it('is refused with a chain of 64 KB', async () => {
    const { outcomes, port } = await sockets.serve(alice)
    const { certificate, key } = authority.leaf(idOf('bob'), { padding: 64_000 })
    sockets.nodeClient(port, { cert: certificate, key, ca: authority.certificate })
    await eventually(() => outcomes.length === 1)
    expect(outcomes[0]!.reason).to.equal('too_large')
  })

  it('is refused when it speaks TLS 1.2 alone, by the version, or nothing of the kind', async () => {
    const { outcomes, port } = await sockets.serve(alice)
    const socket = sockets.nodeClient(port, { maxVersion: 'TLSv1.2', cert: bob.chain, key: bob.key })
    expect(await alertOf(socket)).to.match(/ALERT_PROTOCOL_VERSION/)
    await eventually(() => outcomes.length === 1)
    expect(outcomes[0]!.reason).to.equal('protocol_version')
    for (const bytes of [
      'GET / HTTP/1.1\r\n\r\n',
      'SSH-2.0-x\r\n',
      Buffer.from('16030100051234567890', 'hex'),
      Buffer.alloc(70_000, 0x16),
    ]) {
      const before = outcomes.length
      const plain = connect(port, '127.0.0.1')
      plain.on('error', () => undefined)
      plain.end(bytes)
      await eventually(() => outcomes.length === before + 1)
      expect(outcomes.at(-1)!.side).to.equal(undefined)
      plain.destroy()
    }
  })
})

describe('ciphers that are not proven', () => {
  it('are not used: a wrong byte, or a wrong tag that is taken, ends the self-test', () => {
    const good = nodeCiphers()
    proveCiphers(good)
    const change = (seals: boolean, break_: (target: Buffer, at: number) => void) => () =>
      proveCiphers({
        kind: 'evp',
        create(suite, secret, isSealer) {
          const cipher = good.create(suite, secret, isSealer)
          return {
            free: () => cipher.free(),
            seal(number, source, from, to, type, target, at) {
              cipher.seal(number, source, from, to, type, target, at)
              if (seals) break_(target, at)
            },
            open: (number, source, from, to, target, at) => {
              const isGood = cipher.open(number, source, from, to, target, at)
              return seals ? isGood : true
            },
          }
        },
      })
    expect(change(true, (target, at) => (target[at]! ^= 1))).to.throw('sealed wrongly')
    expect(change(false, () => undefined)).to.throw('took a wrong tag')
  })
})
