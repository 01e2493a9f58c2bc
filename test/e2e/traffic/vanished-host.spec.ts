/** A host that vanishes: its link is down, nobody says goodbye. In a network namespace of the test's own. */
import { spawnSync } from 'node:child_process'
import { expect } from 'chai'

const script = new URL('../../support/worker/vanishing-host.ts', import.meta.url).pathname
const inNamespace = ['--user', '--map-root-user', '--net']

describe('a call to a host that vanishes', function () {
  this.timeout(120_000)
  let results: Record<string, { status: number; ms: number }>

  before(function () {
    const needed = 'ip link set lo up && ip route add blackhole 10.9.0.9/32'
    if (spawnSync('unshare', [...inNamespace, 'sh', '-c', needed]).status !== 0) {
      console.log('skipped: needs a network namespace of its own (unshare, ip)')
      this.skip()
    }
    const run = spawnSync('unshare', [...inNamespace, process.execPath, script], { encoding: 'utf8' })
    if (run.status !== 0) throw new Error(`${run.stdout}\n${run.stderr}`)
    results = JSON.parse(run.stdout) as typeof results
  })

  it('ends by the user time-out of its connection, sent already or not', () => {
    const waiting = results['waiting for its reply']!
    const sent = results['sent on a pooled connection']!
    expect([waiting.status, sent.status]).to.deep.equal([502, 502])
    expect(waiting.ms).to.be.within(1500, 10_000)
    expect(sent.ms).to.be.within(1500, 10_000)
  })

  it('ends within seconds when the registry lets the endpoint go and it cannot be reached', () => {
    const { status, ms } = results['its endpoint leaves and is gone']!
    expect(status).to.equal(502)
    expect(ms).to.be.within(3000, 15_000)
  })

  it('comes to its end when the endpoint was withdrawn and still works', () => {
    const { status, ms } = results['its endpoint leaves and finishes its work']!
    expect(status).to.equal(200)
    expect(ms).to.be.greaterThan(7900)
  })
})
