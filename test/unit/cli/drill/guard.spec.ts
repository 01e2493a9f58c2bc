import { expect } from 'chai'
import { Guard, realTraffic } from '../../../../cli/drill/guard.ts'
import type { AdminClient } from '../../../../cli/admin-client.ts'

describe('the guard of real traffic while a drill runs', () => {
  it('gives up above the share that is allowed, beside what failed before', () => {
    const guard = new Guard(0.05)
    guard.calm({ requests: 1000, failures: 100 })
    guard.calm({ requests: 1100, failures: 110 })
    guard.arm()
    expect(guard.look({ requests: 1200, failures: 124 }), '14 % after 10 %').to.equal(undefined)
    expect(guard.look({ requests: 1300, failures: 145 }), '17.5 % after 10 %').to.equal(
      '35 of 200 real requests failed, allowed 15 %',
    )
    expect(guard.harm()).to.deep.equal({ requests: 200, failures: 35 })
  })

  it('says nothing of a handful of requests', () => {
    const guard = new Guard(0.05)
    guard.calm({ requests: 0, failures: 0 })
    guard.arm()
    expect(guard.look({ requests: 19, failures: 19 })).to.equal(undefined)
    expect(guard.look({ requests: 20, failures: 20 })).to.include('20 of 20')
  })

  it('goes on when the counters begin anew with a new control', () => {
    const guard = new Guard(0.05)
    guard.calm({ requests: 1000, failures: 0 })
    guard.arm()
    expect(guard.look({ requests: 1100, failures: 0 })).to.equal(undefined)
    expect(guard.look({ requests: 900, failures: 0 }), 'what was kept before the death of the old one').to.equal(
      undefined,
    )
    expect(guard.look({ requests: 930, failures: 30 })).to.include('30 of 130')
  })

  it('does not take failures of long ago for news when a new control knows fewer requests', () => {
    const guard = new Guard(0.05)
    guard.calm({ requests: 40, failures: 40 })
    guard.arm()
    expect(guard.look({ requests: 35, failures: 35 })).to.equal(undefined)
    expect(guard.harm()).to.deep.equal({ requests: 0, failures: 0 })
  })

  it('leaves the calls of the probe out, and hears nothing from a control that is dead', async () => {
    const answer = {
      services: [
        { reporter: 'source', service: 'public/G@@orders', requests: 5, failures: 1 },
        { reporter: 'source', service: 'public/G@@hostmesh-drill-alpha', requests: 900, failures: 900 },
      ],
    }
    const admin = {
      where: '',
      get: async () => ({ status: 200, text: JSON.stringify(answer) }),
    } as unknown as AdminClient
    expect(await realTraffic(admin, 'hostmesh-drill-alpha')).to.deep.equal({ requests: 5, failures: 1 })
    const dead = { where: '', get: () => Promise.reject(new Error('gone')) } as unknown as AdminClient
    expect(await realTraffic(dead, 'hostmesh-drill-alpha')).to.equal(undefined)
  })
})
