import { expect } from 'chai'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadNative } from '../../../../native/descriptors.ts'
import { loadLibc } from '../../../../native/libc.ts'
import { MessageMemory } from '../../../../native/socket-message.ts'
import { serviceManager, watchdogPeriod } from '../../../../watchdog/systemd/notify.ts'
import { passedSockets, readStoreName, storeName } from '../../../../watchdog/systemd/stored-sockets.ts'

describe('the service manager', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-notify-'))
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is told about readiness, life and stop, and gets sockets with their names for its store', () => {
    const libc = loadLibc().libc!
    const address = join(folder, 'notify')
    const memory = new MessageMemory(libc)
    const socket = libc.socket(1, 2 | 0o4000, 0)
    const bound = memory.address(address)!
    expect(libc.bind(socket, bound.bytes, bound.length)).to.equal(0)
    const manager = serviceManager({ NOTIFY_SOCKET: address, WATCHDOG_USEC: '10000000' }, loadNative().native, () => {})
    const next = (): string => {
      const got = memory.receive(socket)
      return got.kind === 'message' ? got.bytes.toString() : got.kind
    }
    expect(manager).to.include({ isThere: true, watchdogMs: 5000 })
    manager.ready('generation 1\nserves')
    expect(next()).to.equal(`READY=1\nMAINPID=${process.pid}\nSTATUS=generation 1 serves\n`)
    manager.alive()
    expect(next()).to.equal('WATCHDOG=1\n')
    const shard = { name: 'service:public/DEFAULT_GROUP@@orders', shard: 1, address: '127.0.0.1', port: 20000 }
    writeFileSync(join(folder, 'file'), 'the descriptor itself')
    const descriptor = openSync(join(folder, 'file'), 'r')
    manager.store({ shard, descriptor, isForAll: false })
    const stored = memory.receive(socket)
    if (stored.kind !== 'message') throw new Error(stored.kind)
    expect(stored.bytes.toString()).to.equal(`FDSTORE=1\nFDNAME=${storeName(shard)}\nFDPOLL=0\n`)
    expect(readFileSync(stored.descriptors[0]!, 'utf8')).to.equal('the descriptor itself')
    manager.forget({ shard, descriptor, isForAll: false })
    expect(next()).to.equal(`FDSTOREREMOVE=1\nFDNAME=${storeName(shard)}\n`)
    manager.stopping()
    expect(next()).to.equal('STOPPING=1\n')
    closeSync(descriptor)
    libc.close(stored.descriptors[0]!)
    libc.close(socket)
  })

  it('that is not there costs nothing, and one that is gone is reported once', () => {
    const said: string[] = []
    const log = (_level: string, message: string): void => void said.push(message)
    const nobody = serviceManager({}, loadNative().native, log)
    nobody.ready('x')
    nobody.alive()
    expect(nobody).to.include({ isThere: false, watchdogMs: 0 })
    const gone = serviceManager({ NOTIFY_SOCKET: join(folder, 'gone') }, loadNative().native, log)
    gone.alive()
    gone.alive()
    expect(said).to.have.length(1)
  })

  it('wants life at half its period, and only from the process it means', () => {
    expect(watchdogPeriod({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 7)).to.equal(15_000)
    expect(watchdogPeriod({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, 7)).to.equal(0)
    expect(watchdogPeriod({ WATCHDOG_USEC: 'often' }, 7)).to.equal(0)
  })

  it('gives sockets back under names that survive the trip, without a colon', () => {
    const shard = { name: 'service:public/DEFAULT_GROUP@@ö', shard: 12, address: '::1', port: 20_001 }
    const name = storeName(shard)!
    expect(name).to.match(/^[\x21-\x39\x3b-\x7e]+$/)
    expect(readStoreName(name)).to.deep.equal(shard)
    expect(storeName({ ...shard, name: 'x'.repeat(300) })).to.equal(undefined)
    for (const other of ['http', 'hostmesh|a|1|x|y', 'hostmesh|1|1|%zz|y'])
      expect(readStoreName(other)).to.equal(undefined)
  })

  it('passes sockets only to the process that it names', () => {
    const environment = { LISTEN_FDS: '2', LISTEN_PID: '7', LISTEN_FDNAMES: 'web:hostmesh|0|80|127.0.0.1|http' }
    expect(passedSockets(environment, 7)).to.deep.equal([
      { descriptor: 3, shard: undefined, unitName: 'web' },
      {
        descriptor: 4,
        shard: { name: 'http', shard: 0, address: '127.0.0.1', port: 80 },
        unitName: 'hostmesh|0|80|127.0.0.1|http',
      },
    ])
    expect(passedSockets(environment, 8)).to.deep.equal([])
    expect(passedSockets({}, 8)).to.deep.equal([])
  })
})
