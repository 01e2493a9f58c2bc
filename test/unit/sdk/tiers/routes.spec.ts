import { expect } from 'chai'
import { Routes } from '../../../../sdk/tiers/routes.ts'
import type { Route, RoutesDeps } from '../../../../sdk/tiers/routes.ts'
import type { ActiveMode } from '../../../../sdk/status.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import type { ManualClock } from '../../../support/manual-clock.ts'
import { discovery, serviceAt } from '../../../support/sdk/stand-in-agent.ts'

const [four, six] = ['10.0.0.1:80', '[fd00::1]:80'] as const

describe('the routes of a call', () => {
  let clock: ManualClock
  /** Those that are down. */
  let down: Set<string>
  let asked: string[]

  beforeEach(() => {
    clock = manualClock()
    down = new Set()
    asked = []
  })

  /** Endpoints are chosen in the order in which they are named. */
  function open(endpoints: readonly string[] = [four, six]): Routes {
    const { services, ...host } = discovery({
      http: '127.0.0.1:15001',
      centers: ['10.0.0.8:15443', 'center.example.com:15443'],
      services: { orders: serviceAt(...endpoints) },
    })
    const proxy = (address: string) => {
      asked.push(address)
      return { isUsable: !down.has(address), refused: () => void down.add(address) }
    }
    return new Routes({
      clock,
      random: () => 0,
      agent: { host, service: (name: string) => services[name] },
      nacos: { want: () => undefined, endpoints: () => endpoints.map((address) => ({ address, weight: 1 })) },
      proxies: { agentProxy: proxy, centerProxy: proxy },
    } as unknown as RoutesDeps)
  }
  const list = (routes: Routes, mode: ActiveMode): Route[] => [...routes.list('orders', mode, 'http')]
  const words = (given: readonly Route[]): string[] => given.map(({ tier, address }) => `${tier} ${address.host}`)

  it('are the agent, the centers and the endpoints that the agent named, or those of the registry', () => {
    const routes = open()
    const centers = ['center 10.0.0.8', 'center center.example.com']
    expect(words(list(routes, 'mesh'))).to.deep.equal([
      'agent 127.0.0.1',
      ...centers,
      'direct 10.0.0.1',
      'direct fd00::1',
    ])
    expect(words(list(routes, 'direct'))).to.deep.equal(['registry 10.0.0.1', 'registry fd00::1'])
  })

  it('are looked for one at a time: what fell while another one was tried is not taken', () => {
    const routes = open()
    const given = routes.list('orders', 'mesh', 'http')
    expect(words([given.next().value as Route])).to.deep.equal(['agent 127.0.0.1'])
    expect(asked).to.deep.equal(['127.0.0.1:15001'])
    down.add('10.0.0.8:15443')
    expect(words([...given])).to.deep.equal(['center center.example.com', 'direct 10.0.0.1', 'direct fd00::1'])
  })

  for (const endpoints of [
    [four, six],
    [six, four],
  ])
    it(`have ${endpoints[0]} behind the others for 5 s when it refused`, () => {
      const routes = open(endpoints)
      const before = list(routes, 'direct')
      routes.refused(before[0]!)
      clock.advance(4999)
      expect(words(list(routes, 'direct'))).to.deep.equal(words(before.toReversed()))
      clock.advance(1)
      expect(words(list(routes, 'direct'))).to.deep.equal(words(before))
    })
})
