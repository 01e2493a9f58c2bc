import { expect } from 'chai'
import { acceptBacklog } from '../../../../contracts/handoff.ts'
import type { RelayListener, RelayTargets } from '../../../../contracts/relay-targets.ts'
import { loadNative } from '../../../../native/descriptors.ts'
import { TcpSockets } from '../../../../native/tcp-sockets.ts'
import type { HeldSockets } from '../../../../watchdog/hold/held-sockets.ts'
import { testOptions } from '../../../support/continuity/watchdog-options.ts'
import { Relay } from '../../../../watchdog/relay/relay.ts'
import type { TargetsFile } from '../../../../watchdog/relay/targets-file.ts'
import { allowedBacklog, backlogOf } from '../../../support/continuity/backlog.ts'

describe('a held socket that the watchdog relays', () => {
  it('keeps the queue that workers gave it, so that a burst finds as much room as before', () => {
    const { native, problem } = loadNative()
    if (native === undefined) throw new Error(problem)
    const sockets = new TcpSockets()
    const descriptor = sockets.bound('127.0.0.1', 0, false)
    sockets.listen(descriptor, acceptBacklog, 'test')
    const { port } = sockets.localName(descriptor)!
    const all = [{ shard: { name: 'app', shard: 0, address: '127.0.0.1', port }, descriptor, isForAll: false }]
    const listeners = { app: { kind: 'inbound', endpoints: [] } } as unknown as Record<string, RelayListener>
    const relay = new Relay({
      native,
      held: { size: 1, all: () => all } as unknown as HeldSockets,
      file: { targets: { centers: [], listeners } as unknown as RelayTargets, refresh() {} } as unknown as TargetsFile,
      identityFile: '/nowhere',
      bounds: testOptions.bounds,
      openFilesLimit: 1024,
      now: () => performance.now(),
      wallClock: Date.now,
      log: () => {},
      onCenterChange: () => {},
    })
    try {
      relay.start()
      expect(backlogOf(descriptor)).to.equal(allowedBacklog(acceptBacklog))
    } finally {
      relay.close()
      native.close(descriptor)
    }
  })
})
