import { expect } from 'chai'
import { NacosFault } from '../../../../../registry-adapters/nacos/server/fault.ts'
import { heartbeatTimes, parseInstance } from '../../../../../registry-adapters/nacos/server/instance.ts'

describe('instance of a Nacos client', () => {
  it('is read from form fields, with defaults for what is absent', () => {
    expect(parseInstance({ ip: '10.0.0.1', port: '8080' })).to.deep.include({
      ip: '10.0.0.1',
      port: 8080,
      weight: 1,
      healthy: true,
      enabled: true,
      ephemeral: true,
      cluster: 'DEFAULT',
    })
  })

  it('is read from the JSON of gRPC, ignoring fields that nobody knows', () => {
    const instance = parseInstance({
      ip: '::1',
      port: 80,
      weight: 2.5,
      healthy: false,
      enabled: false,
      ephemeral: false,
      clusterName: 'c1',
      metadata: { a: 'b', n: 5, nothing: null },
      future: {},
    })
    expect(instance).to.deep.include({ ip: '::1', weight: 2.5, healthy: false, enabled: false, ephemeral: false })
    expect({ ...instance.metadata }).to.deep.equal({ a: 'b', n: '5' })
  })

  it('reads truth values in every spelling that clients use, as a Python client writes them too', () => {
    const of = (text: string) => {
      const { ephemeral, healthy, enabled } = parseInstance({
        ip: '10.0.0.1',
        port: '1',
        ephemeral: text,
        healthy: text,
        enable: text,
      })
      return [ephemeral, healthy, enabled]
    }
    for (const yes of ['true', 'True', 'TRUE', 'yes', 'y', 'on']) expect(of(yes), yes).to.deep.equal([true, true, true])
    for (const no of ['false', 'False', 'no', 'None', '0']) expect(of(no), no).to.deep.equal([false, false, false])
  })

  it('takes metadata as JSON text and as key=value pairs', () => {
    const of = (metadata: string): object => ({ ...parseInstance({ ip: '10.0.0.1', port: 1, metadata }).metadata })
    expect(of('{"a":"b=c"}')).to.deep.equal({ a: 'b=c' })
    expect(of('a=b,c=d=e')).to.deep.equal({ a: 'b', c: 'd=e' })
    expect(of('')).to.deep.equal({})
  })

  it('keeps a metadata key named __proto__ as plain data', () => {
    const { metadata } = parseInstance({ ip: '10.0.0.1', port: 1, metadata: '{"__proto__":"x"}' })
    expect(Object.entries(metadata)).to.deep.equal([['__proto__', 'x']])
    expect(({} as { x?: string }).x).to.equal(undefined)
  })

  const refused: readonly (readonly [string, Record<string, unknown>, string])[] = [
    ['no address', { port: 1 }, 'parameter-missing'],
    ['an address with a space', { ip: '10.0.0.1 ', port: 1 }, 'parameter-invalid'],
    ['an address of 200 characters', { ip: 'a'.repeat(200), port: 1 }, 'parameter-invalid'],
    ['no port', { ip: '10.0.0.1' }, 'parameter-missing'],
    ['port 65536', { ip: '10.0.0.1', port: 65_536 }, 'parameter-invalid'],
    ['port -1', { ip: '10.0.0.1', port: '-1' }, 'parameter-invalid'],
    ['port 80.5', { ip: '10.0.0.1', port: 80.5 }, 'parameter-invalid'],
    ['port 0x50', { ip: '10.0.0.1', port: '0x50' }, 'parameter-invalid'],
    ['weight -1', { ip: '10.0.0.1', port: 1, weight: -1 }, 'weight'],
    ['weight 10001', { ip: '10.0.0.1', port: 1, weight: '10001' }, 'weight'],
    ['weight NaN', { ip: '10.0.0.1', port: 1, weight: 'many' }, 'weight'],
    ['a cluster with a comma', { ip: '10.0.0.1', port: 1, clusterName: 'a,b' }, 'parameter-invalid'],
    ['metadata that is a list', { ip: '10.0.0.1', port: 1, metadata: [] }, 'metadata'],
    ['metadata that is broken JSON', { ip: '10.0.0.1', port: 1, metadata: '{' }, 'metadata'],
    [
      '65 metadata entries',
      { ip: '10.0.0.1', port: 1, metadata: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ''])) },
      'metadata',
    ],
    ['17 KiB of metadata', { ip: '10.0.0.1', port: 1, metadata: { a: 'x'.repeat(17 * 1024) } }, 'metadata'],
    [
      'a heartbeat interval above its time-out',
      { ip: '10.0.0.1', port: 1, metadata: { 'preserved.heart.beat.timeout': '1000' } },
      'instance',
    ],
  ]
  for (const [what, raw, kind] of refused)
    it(`is refused with ${what}`, () => {
      expect(() => parseInstance(raw))
        .to.throw(NacosFault)
        .with.property('kind', kind)
    })

  it('has the heartbeat times of its preserved metadata, and the defaults for nonsense', () => {
    expect(heartbeatTimes({})).to.deep.equal({ interval: 5_000, timeout: 15_000, removal: 30_000 })
    expect(
      heartbeatTimes({
        'preserved.heart.beat.interval': '1000',
        'preserved.heart.beat.timeout': '3000',
        'preserved.ip.delete.timeout': '6000',
      }),
    ).to.deep.equal({ interval: 1_000, timeout: 3_000, removal: 6_000 })
    expect(
      heartbeatTimes({ 'preserved.heart.beat.timeout': '-5', 'preserved.ip.delete.timeout': '1e99' }),
    ).to.deep.equal({
      interval: 5_000,
      timeout: 15_000,
      removal: 30_000,
    })
  })
})
