import { mock } from 'node:test'
import { expect } from 'chai'
import type { RelayListener, RelayTargets } from '../../../../contracts/relay-targets.ts'
import type { Native } from '../../../../native/descriptors.ts'
import type { HeldSocket, HeldSockets } from '../../../../watchdog/hold/held-sockets.ts'
import { testOptions } from '../../../support/continuity/watchdog-options.ts'
import { Relay } from '../../../../watchdog/relay/relay.ts'
import type { TargetsFile } from '../../../../watchdog/relay/targets-file.ts'

describe('a port that takes mutual TLS, while no worker serves', () => {
  let relay: Relay
  let taken: number[]
  let now: number

  const heldOf = (name: string, descriptor: number): HeldSocket => ({
    shard: { name, shard: 0, address: '127.0.0.1', port: 9000 + descriptor },
    descriptor,
    isForAll: false,
  })
  const all = [heldOf('plain', 1), heldOf('mutual', 2)]
  const listeners = {
    plain: { kind: 'inbound' },
    mutual: { kind: 'inbound', mtls: true },
  } as unknown as Record<string, RelayListener>

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] })
    taken = []
    now = 1000
    relay = new Relay({
      native: {
        duplicate: (descriptor: number) => {
          taken.push(descriptor)
          throw new Error('nothing is listened on here')
        },
      } as unknown as Native,
      held: { size: all.length, all: () => all } as unknown as HeldSockets,
      file: { targets: { centers: [], listeners } as unknown as RelayTargets, refresh() {} } as unknown as TargetsFile,
      identityFile: '/nowhere',
      bounds: testOptions.bounds,
      openFilesLimit: 1024,
      now: () => now,
      wallClock: () => now,
      log: () => {},
      onCenterChange: () => {},
    })
  })

  afterEach(() => {
    relay.close()
    mock.timers.reset()
  })

  it('is left to the next worker for five seconds, and is relayed then', () => {
    relay.start()
    expect(taken).to.deep.equal([1])
    now += 4999
    mock.timers.tick(4999)
    relay.start()
    expect(taken).to.not.include(2)
    now += 1
    mock.timers.tick(1)
    expect(taken).to.include(2)
  })

  it('is relayed also when the timer is a moment ahead of the clock', () => {
    relay.start()
    now += 4999.4
    mock.timers.tick(5000)
    expect(taken).to.include(2)
  })

  it('is left alone anew when the next workers have ended, too', () => {
    relay.start()
    relay.stop()
    now += 4000
    mock.timers.tick(4000)
    relay.start()
    now += 4000
    mock.timers.tick(4000)
    expect(taken).to.not.include(2)
  })
})
