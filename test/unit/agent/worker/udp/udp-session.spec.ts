import { expect } from 'chai'

import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
import type { Upstream } from '../../../../../agent/worker/connect/upstream.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import { TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'
import { UdpCounts } from '../../../../../agent/worker/udp/udp-counts.ts'
import type { DatagramIo, UdpDeps } from '../../../../../agent/worker/udp/udp-deps.ts'
import { UdpSession } from '../../../../../agent/worker/udp/udp-session.ts'
import type { SessionPort } from '../../../../../agent/worker/udp/udp-session.ts'
import type { VirtualHost } from '../../../../../agent/worker/route/types.ts'
import { cluster, endpoints } from '../../../../support/balance.ts'

const host = {
  tcpRoutes: [{ filters: [], matches: [], destinations: [{ spec: { weight: 1 }, clusterKey: 'key', portKeys: null }] }],
} as unknown as VirtualHost

describe('a UDP session', () => {
  let service: Cluster
  /** Addresses to which sockets were made, in order. */
  let made: string[]
  /** What comes of sending to an address, where it is no success. */
  let failures: Map<string, number>
  let received: number
  let isLoop: (address: string) => boolean
  let mayConnect: (address: string) => boolean

  beforeEach(() => {
    service = cluster({ endpoints: endpoints(2) })
    made = []
    failures = new Map()
    received = 0
    isLoop = () => false
    mayConnect = () => true
  })

  function session(): UdpSession {
    const clock = new Clock(() => 1)
    const wheel = new TimerWheel(
      () => 1,
      () => {},
    )
    const upstream = { key: 'key', cluster: service, hashKey: null, uses: 0, tcpConnections: 0 } as unknown as Upstream
    const deps = {
      clock,
      wheel,
      random: () => 0,
      live: { nextId: () => 1 },
      limits: () => ({ udpIdleTimeoutMs: 60_000 }),
      mesh: { node: { tier: '' }, names: { host: () => host }, upstream: () => upstream },
      accessLog: { isOn: false, wants: () => false, write: () => {} },
      leadsBack: isLoop,
      warn: () => {},
    } as unknown as UdpDeps
    const io = {
      sockets: {
        connected(address: string) {
          if (!mayConnect(address)) throw Object.assign(new Error(address), { errno: -101 })
          return made.push(address)
        },
        close() {},
      },
      loop: { add: () => 0, remove() {} },
      batch: {
        send: (_socket: number, from: number, to: number) => failures.get(made.at(-1)!) ?? to - from,
        receive: () => received,
        lengthOf: () => 1,
      },
    } as unknown as DatagramIo
    const port = {
      context: { virtualHost: 'clock', port: 53 },
      counts: new UdpCounts().of('clock'),
      drop() {},
      left() {},
      makeWay: () => 'overflow',
    } as unknown as SessionPort
    return new UdpSession(deps, io, port, 1, Buffer.alloc(28))
  }

  for (const [errno, why] of [
    [-111, 'nobody listens at'],
    [-113, 'a firewall refuses'],
    [-13, 'a firewall of IPv6 refuses'],
    [-101, 'no route leads to'],
  ] as const) {
    it(`leaves an endpoint that ${why}, as its socket says when it sends or receives (${errno})`, () => {
      const sending = session()
      expect(sending.begin()).to.equal(null)
      const [first] = made
      failures.set(first!, errno)
      sending.forward(0, 1)
      expect(made).to.have.length(2)
      expect(made[1]).to.not.equal(first)
      failures.clear()
      const receiving = session()
      made = []
      expect(receiving.begin()).to.equal(null)
      received = errno
      receiving.onEvents()
      receiving.forward(0, 1)
      expect(made).to.have.length(2)
      expect(made[1]).to.not.equal(made[0])
    })
  }

  it('that finds no endpoint behind one that takes no socket holds no connection', () => {
    let broken: string | undefined
    mayConnect = (address) => {
      broken ??= address
      return address !== broken
    }
    isLoop = (address) => broken !== undefined && address !== broken
    const one = session()
    expect(one.begin()).to.include({ kind: 'nowhere', reason: 'loop' })
    expect(service.numbers).to.include({ connections: 0, activeRequests: 0, activeAttempts: 0 })
  })
})
