import { expect } from 'chai'
import type { Answer } from '../../../../../agent/worker/filters/answer.ts'
import type { FaultAbortSpec, FaultDelaySpec, FilterSpec, RuleOrigin } from '../../../../../contracts/route-spec.ts'
import { context, filtersOf, request } from '../../../../support/routing.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'

const origin: RuleOrigin = { kind: 'VirtualService', name: 'public/orders', path: 'spec.http[0]' }

function faults({ abort, delay }: { delay?: FaultDelaySpec; abort?: FaultAbortSpec }) {
  const filters: FilterSpec[] = []
  if (delay !== undefined) filters.push({ kind: 'fault-delay', ...delay })
  if (abort !== undefined) filters.push({ kind: 'fault-abort', ...abort })
  return filtersOf({ filters, origin })
}

describe('a fault', () => {
  it('delays its share of the requests, drawn anew each time', () => {
    const [filter] = faults({ delay: { share: 0.3, fixedMs: 250 } })
    const random = seededRandom(3)
    let delayed = 0
    for (let i = 0; i < 10_000; i++) {
      const verdict = filter!.onRequest(context(request(), 0, random))
      if (verdict !== null) {
        expect(verdict).to.deep.equal({ kind: 'wait', ms: 250, flag: 'DI', call: null })
        delayed++
      }
    }
    expect(delayed / 10_000).to.be.closeTo(0.3, 3 * Math.sqrt(0.21 / 10_000))
  })

  it('aborts with its status, code and flag, and says which rule did it', () => {
    const [filter] = faults({ abort: { share: 1, status: 418 } })
    const reply = filter!.onRequest(context(request())) as Answer
    expect(reply).to.include({ kind: 'answer', status: 418, code: 'E_FAULT_INJECTED', flag: 'FI' })
    expect(reply.body.toString()).to.equal('fault injected by VirtualService public/orders spec.http[0].fault\n')
  })

  it('of 0 % never happens, of 100 % always', () => {
    for (const draw of [0, 0.5, 0.999999]) {
      const [never, always] = [0, 1].map((share) => faults({ abort: { share, status: 500 } })[0]!)
      expect(never!.onRequest(context(request(), 0, () => draw))).to.equal(null)
      expect(always!.onRequest(context(request(), 0, () => draw))).not.to.equal(null)
    }
  })

  it('of both kinds delays before it aborts, and draws for each', () => {
    const filters = faults({ delay: { share: 1, fixedMs: 1 }, abort: { share: 1, status: 500 } })
    expect(filters.map((filter) => filter.kind)).to.deep.equal(['fault-delay', 'fault-abort'])
    expect(faults({})).to.deep.equal([])
  })
})
