import { expect } from 'chai'
import { RelayAdmission } from '../../../../../agent/worker/listen/relay-admission.ts'

/** How many of its connections a host gets in. */
function enterAll(relays: RelayAdmission, host: string, count: number, perHost: number, inAll: number): number {
  let entered = 0
  for (let at = 0; at < count; at++) if (relays.enter(host, perHost, inAll)) entered++
  return entered
}

describe('the places of a center', () => {
  it('are a host’s up to its bound, and free again when it leaves', () => {
    const relays = new RelayAdmission()
    expect(enterAll(relays, 'a', 5, 3, 100)).to.equal(3)
    expect([relays.connections, relays.shed]).to.deep.equal([3, 2])
    relays.leave('a')
    expect(enterAll(relays, 'a', 1, 3, 100)).to.equal(1)
  })

  it('are nobody’s alone: a host holds no more than are free', () => {
    const relays = new RelayAdmission()
    expect(enterAll(relays, 'a', 1000, 1000, 100)).to.equal(50)
    expect(enterAll(relays, 'b', 1000, 1000, 100)).to.equal(25)
  })

  it('go to each of 200 hosts that come at once, whoever is first, and some are left for the next', () => {
    const relays = new RelayAdmission()
    const hosts = Array.from({ length: 200 }, (_, at) => `host ${at}`)
    const places = new Map<string, number>()
    for (let round = 0; round < 25; round++)
      for (const host of hosts) if (relays.enter(host, 1000, 1000)) places.set(host, (places.get(host) ?? 0) + 1)
    const counts = hosts.map((host) => places.get(host) ?? 0)
    expect(Math.min(...counts)).to.be.at.least(4)
    expect(Math.max(...counts)).to.be.at.most(5)
    expect(relays.enter('host 201', 1000, 1000)).to.equal(true)
  })

  it('of greedy ones that were first are not taken away, and the last still gets one', () => {
    const relays = new RelayAdmission()
    for (let at = 0; at < 8; at++) enterAll(relays, `greedy ${at}`, 1000, 1000, 1000)
    expect(relays.connections).to.be.at.most(999)
    expect(relays.enter('late', 1000, 1000)).to.equal(true)
  })
})
