import { expect } from 'chai'
import type * as Words from '../../../../contracts/words.ts'
import { endpointOf, keyOf, snapshotOf } from '../../../support/worker/snapshots.ts'
import { Kinds } from '../../../../agent/worker/kinds.ts'
import type { KindsDeps } from '../../../../agent/worker/kinds.ts'
import { lazily } from '../../../../agent/worker/lazily.ts'
import { protocolTable } from '../../../../agent/worker/protocol-table.ts'
import { MeshError } from '../../../../contracts/errors.ts'

const missing = new MeshError('E_PART_MISSING', 'TLS cannot be loaded: no such file')

describe('a part that is loaded late', () => {
  it('is the one that everybody else has', async () => {
    const load = lazily<typeof Words>(import.meta.url, '../../../../contracts/words', 'words')
    expect(load()).to.equal(await import('../../../../contracts/words.ts'))
  })

  it('is named when it is not there', () => {
    const load = lazily(import.meta.url, './nothing', 'HTTP/7')
    expect(load)
      .to.throw(MeshError, /^HTTP\/7 cannot be loaded: .*nothing/)
      .with.property('code', 'E_PART_MISSING')
  })
})

describe('parts of a broken installation', () => {
  const warnings: string[] = []
  const tls = {
    load() {
      throw missing
    },
  }
  const broken = (): Kinds =>
    new Kinds(() => ({ tls, warn: (message: string) => warnings.push(message) }) as unknown as KindsDeps)

  it('refuse a snapshot by the name of who needs them', () => {
    const services = [{ name: 'orders', endpoints: [endpointOf('10.0.0.1', 80)] }]
    const plain = snapshotOf({ services, listen: {} })
    const kinds = broken()
    kinds.prepare(plain)
    const tlsPolicy = { tls: { mode: 'simple', sni: '', subjectAltNames: [] } } as const
    const secure = snapshotOf({ services: [{ ...services[0]!, policy: tlsPolicy }], listen: {} })
    expect(() => kinds.prepare(secure)).to.throw(MeshError, `${keyOf('orders')}: TLS cannot be loaded`)
    expect(() => kinds.prepare({ mesh: { ...plain.mesh, hasCertificates: true } })).to.throw(MeshError, 'certificates:')
  })

  it('close a connection that needs them, and no other', () => {
    const told: string[] = []
    const kinds = {
      get http2(): never {
        throw missing
      },
    } as unknown as Kinds
    const table = protocolTable({} as never, kinds, {} as never, (message) => told.push(message))
    const accepted = { listener: { name: 'shared' }, onEnd: () => told.push('end') }
    const transport = { close: () => told.push('close'), release: () => told.push('release') }
    table.http2.begin!(accepted as never, transport as never, null)
    expect(told).to.deep.equal([
      'shared: a connection is closed: E_PART_MISSING  TLS cannot be loaded: no such file',
      'close',
      'end',
    ])
    expect(() => table.http2.adopt(accepted as never, {} as never, [transport as never])).to.throw(missing)
    expect(told.at(-1)).to.equal('release')
  })
})
