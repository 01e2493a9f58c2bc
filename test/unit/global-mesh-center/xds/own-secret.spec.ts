import { expect } from 'chai'
import { OwnSecret } from '../../../../global-mesh-center/xds/envoy/own-secret.ts'
import { issuingBench, trustDomain } from '../../../support/ca/issuing.ts'
import { manualClock, type ManualClock } from '../../../support/manual-clock.ts'

const hour = 3_600_000
const id = `spiffe://${trustDomain}/ns/shop/sa/gateway`
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

describe('the certificate of a proxy', () => {
  let clock: ManualClock
  let keys: string[]
  let made: OwnSecret | undefined
  let isTokenGood: boolean

  async function bench() {
    const issuing = await issuingBench(clock)
    const begin = (): void => {
      made = new OwnSecret({
        clock,
        random: () => 0.5,
        log: issuing.log,
        issuer: issuing.issuer,
        asker: { kind: 'workload', id, origin: { kind: 'shown' }, isGood: () => isTokenGood },
        id,
        from: '10.0.0.7:40000',
        onIssued: ({ key }) => void keys.push(key),
      })
    }
    return { ...issuing, begin }
  }
  /** In steps, so that what is asked for is answered in between. */
  async function pass(ms: number, step = 60_000): Promise<void> {
    for (let passed = 0; passed < ms; passed += step) {
      clock.advance(Math.min(step, ms - passed))
      await settled()
    }
  }

  beforeEach(() => {
    clock = manualClock(Date.UTC(2026, 0, 1))
    keys = []
    isTokenGood = true
  })
  afterEach(() => made?.close())

  it('is renewed at half its life, with another key', async () => {
    const { begin, issuer, service } = await bench()
    issuer.take(service)
    begin()
    await settled()
    expect(keys).to.have.length(1)
    await pass(11.5 * hour)
    expect(keys).to.have.length(1)
    await pass(hour)
    expect(new Set(keys).size).to.equal(2)
  })

  it('is renewed at once after the wall clock went far ahead', async () => {
    const { begin, issuer, service } = await bench()
    issuer.take(service)
    begin()
    await settled()
    clock.jump(20 * hour)
    await pass(60_000)
    expect(keys).to.have.length(2)
  })

  it('is asked for at growing pauses while it is refused, and each line says when the one in use ends', async () => {
    const { admission, begin, issuer, lines, service } = await bench()
    issuer.take(service)
    begin()
    await settled()
    await admission.deny('identity', id, 'stolen')
    await pass(13 * hour)
    const told = lines.filter(({ message }) => message.startsWith('xds: no certificate'))
    expect(told[0]!.message).to.contain('is denied: stolen; what it has ends at 2026-01-02T00:00:00')
    // 1, 2, 4 … 256 s, then every 5 min, half of each by chance
    expect(told.length).to.be.within(10, 40)
    await admission.allow('identity', id)
    await pass(300_000, 1000)
    expect(keys).to.have.length(2)
  })

  it('is not renewed once the token that its stream was opened with is withdrawn', async () => {
    const { begin, issuer, lines, service } = await bench()
    issuer.take(service)
    begin()
    await settled()
    isTokenGood = false
    await pass(13 * hour)
    expect(keys).to.have.length(1)
    expect(
      lines.some(({ message }) => message.includes('the token that was shown for it is not good any more')),
    ).to.equal(true)
  })

  it('is asked for at once when the authority opens', async () => {
    const { begin, issuer, service } = await bench()
    begin()
    await settled()
    expect(keys).to.have.length(0)
    issuer.take(service)
    await settled()
    expect(keys).to.have.length(1)
  })

  it('is not asked for any more once its stream has ended', async () => {
    const { begin, issuer, service } = await bench()
    issuer.take(service)
    begin()
    made!.close()
    await settled()
    await pass(13 * hour)
    expect(keys).to.have.length(0)
  })
})
