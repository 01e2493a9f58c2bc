import { expect } from 'chai'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { stateFiles } from '../../../../../contracts/run-directory.ts'
import { endpoint } from '../support/fake-registry.ts'
import { openBench, type Bench } from '../support/control-bench.ts'

const rule = (name: string, timeout: string) =>
  `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}]
  http: [{ timeout: ${timeout}, route: [{ destination: { host: ${name} } }] }]
`

describe('events of control', () => {
  let bench: Bench
  afterEach(async () => bench.close())

  const words = (): string[] =>
    bench.control.timeline.query().events.map(({ about, kind, what }) => `${kind} ${about} ${what}`)
  const write = (text: string): void => {
    bench.writeFile('rules.d/shop.yaml', text)
    bench.control.reload()
  }

  it('name the rules that were added, changed, rejected and removed, each by itself, and nothing that was there', async () => {
    bench = await openBench()
    write(rule('orders', '1s'))
    bench.control.setLeading(true)
    expect(words()).to.deep.equal(['rule VirtualService public/orders added'])
    write(`${rule('orders', '1s')}---\n${rule('ledger', '1s')}`)
    write(`${rule('orders', '2s')}---\n${rule('ledger', '1s')}`)
    write(`${rule('orders', 'soon')}---\n${rule('ledger', '1s')}`)
    write(rule('ledger', '1s'))
    expect(words().slice(1)).to.deep.equal([
      'rule VirtualService public/ledger added',
      'rule VirtualService public/orders changed',
      'rule VirtualService public/orders rejected',
      'rule VirtualService public/orders removed',
    ])
    const rejected = bench.control.timeline.query().events[3]!
    expect(rejected).to.include({ severity: 'error' })
    expect(rejected.message).to.include('timeout').and.to.include('its last good version stays')
  })

  it('stay over a restart: a rejected rule and a lost registry are told once, and their end', async () => {
    bench = await openBench({ outbound: { services: [{ service: 'orders' }] } })
    bench.control.setLeading(true)
    write(rule('orders', 'soon'))
    bench.registry.goAway('connection refused')
    const before = words()
    expect(before).to.deep.equal(['rule VirtualService public/orders rejected', 'registry main lost'])

    bench = await bench.restart()
    bench.control.setLeading(true)
    expect(words()).to.deep.equal(before)
    bench.registry.say({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }, [endpoint('10.0.0.9:80')])
    write(rule('orders', '1s'))
    expect(words().slice(2)).to.deep.equal(['registry main back', 'rule VirtualService public/orders changed'])
  })

  it('of a worker come over its link; a damaged file of events costs only them', async () => {
    bench = await openBench()
    bench.control.setLeading(true)
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const trouble = { kind: 'ejection', about: 'orders 10.0.0.1:80', what: 'ejected', reason: '5xx in a row' } as const
    worker.send({ type: 'troubles', troubles: [trouble] })
    await worker.until(() => words().length === 1, 'the event')
    expect(words()).to.deep.equal(['ejection orders 10.0.0.1:80 ejected'])

    const { folder } = bench
    await bench.end()
    rmSync(join(folder, 'state', stateFiles.events))
    bench.writeFile(`state/${stateFiles.events}`, '{"format":1')
    bench = await bench.restart()
    bench.control.setLeading(true)
    expect(words()).to.deep.equal([])
    expect(bench.log.lines.map(({ message }) => message).join()).to.include(stateFiles.events)
  })
})
