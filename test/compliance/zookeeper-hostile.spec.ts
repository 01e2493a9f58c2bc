/**
 * A ZooKeeper server that means harm, by its own protocol: whatever it says, control lives on within bounds, says what
 * is wrong, keeps what was good, and finds the way back to a server that is honest.
 */
import type { Socket } from 'node:net'
import { expect } from 'chai'
import { systemClock } from '../../contracts/clock.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { createZooKeeperAdapter } from '../../registry-adapters/zookeeper/index.ts'
import type { RecordWriter } from '../../registry-adapters/zookeeper/records.ts'
import { Code, Op, Xid } from '../../registry-adapters/zookeeper/words.ts'
import { watchTurns } from '../support/busiest-turn.ts'
import { eventually, recordedDeps, recordingListener } from '../support/registry-listener.ts'
import type { RecordingListener } from '../support/registry-listener.ts'
import { holds } from '../support/worker/eventually.ts'
import { greet, reply, startHostileZooKeeper } from '../support/zookeeper/hostile.ts'
import type { Asked, HostileBehaviour, HostileZooKeeper } from '../support/zookeeper/hostile.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
/** A kind of event, as a server says it. */
const childrenChanged = 4
/** Most processor time that the loop may spend at a time on one answer. */
const maxBusyMs = 1000
const maxMoreMiB = 300
/** The adapter's time runs so many times as fast. */
const haste = 10

const hasty = {
  wall: () => systemClock.wall(),
  monotonic: () => systemClock.monotonic() * haste,
  after: (ms: number, call: () => void) => systemClock.after(ms / haste, call),
}

const lengthOf = (length: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(length)
  return bytes
}
const names = (list: readonly string[]) => (writer: RecordWriter) => {
  writer.int(list.length)
  for (const name of list) writer.text(name)
}
const stat = (writer: RecordWriter) => {
  for (let index = 0; index < 4; index++) writer.long(1n)
  for (let index = 0; index < 3; index++) writer.int(0)
  return writer.long(0n).int(0).int(0).long(1n)
}

/** One instance, for whoever asks as one should. */
function honest(socket: Socket, { xid, type }: Asked): void {
  if (type === Op.getChildren2) reply(socket, xid, 0, names(['10.0.0.1:80']))
  else if (type === Op.exists) reply(socket, xid, 0, stat)
  else reply(socket, xid, 0, (writer) => stat(writer.bytes(Buffer.from('{"address":"10.0.0.1","port":80}'))))
}

describe('a ZooKeeper server that means harm', function () {
  this.timeout(240_000)
  const servers: HostileZooKeeper[] = []
  const adapters: RegistryAdapter[] = []
  afterEach(async () => {
    await Promise.all(adapters.splice(0).map((adapter) => adapter.close()))
    await Promise.all(servers.splice(0).map((server) => server.stop()))
  })

  interface Met {
    readonly adapter: RegistryAdapter
    readonly listener: RecordingListener
    readonly server: HostileZooKeeper
  }
  const meet = async (behaviour: HostileBehaviour): Promise<Met> => {
    const server = await startHostileZooKeeper(behaviour)
    servers.push(server)
    const adapter = createZooKeeperAdapter(
      {
        name: 'zk',
        servers: [{ host: '127.0.0.1', port: server.port }],
        layout: 'plain',
        namespace: 'public',
        group: 'DEFAULT_GROUP',
        sessionTimeoutMs: 4000,
        auth: () => undefined,
        tls: () => undefined,
        maxEndpoints: 10_000,
      },
      { ...recordedDeps(), clock: hasty },
    )
    adapters.push(adapter)
    const listener = recordingListener()
    adapter.start()
    adapter.subscribe(orders, listener)
    return { adapter, listener, server }
  }
  const problem = ({ adapter }: Met): string =>
    `${adapter.status().problem?.code ?? 'none'} ${adapter.status().problem?.message ?? ''}`
  /** Met, and heard to say so within the bounds of time and memory. */
  const says = async (word: RegExp, behaviour: HostileBehaviour): Promise<Met> => {
    const turns = watchTurns()
    const before = process.memoryUsage().rss
    const met = await meet(behaviour)
    await eventually(
      () => word.test(problem(met)),
      () => `${word.source}; it says ${problem(met)}`,
    )
    expect(turns.end(), 'ms that the loop was busy at a time').to.be.lessThan(maxBusyMs)
    expect((process.memoryUsage().rss - before) / 1024 / 1024, 'MiB more').to.be.lessThan(maxMoreMiB)
    expect(met.listener.sets.every(({ endpoints }) => endpoints.length === 0)).to.equal(true)
    return met
  }

  it('garbage instead of a greeting, and a length that no frame can have', async () => {
    await says(/E_REGISTRY_/, { greet: (socket) => void socket.write(Buffer.alloc(4096, 0xfe)) })
    await says(/E_REGISTRY_PROTOCOL.*-5 bytes/, { greet: (socket) => void socket.write(lengthOf(-5)) })
    await says(/E_REGISTRY_PROTOCOL/, { greet: (socket) => void socket.write(lengthOf(0)) })
  })

  it('a greeting that grants next to nothing, or for ever, or a password without end', async () => {
    for (const [timeoutMs, passwordBytes] of [
      [1, 16],
      [2 ** 31 - 1, 16],
      [4000, 2 ** 20],
    ] as const)
      await says(/E_REGISTRY_PROTOCOL.*a session of/, {
        greet: (socket) => greet(socket, timeoutMs, 7n, Buffer.alloc(passwordBytes)),
      })
  })

  it('taken in and dropped, again and again: it is called lost, and asked more and more seldom', async () => {
    const met = await says(/E_REGISTRY_UNREACHABLE.*closed/, {
      greet: (socket, timeoutMs) => {
        greet(socket, timeoutMs)
        setTimeout(() => socket.end(), 5)
      },
    })
    await eventually(() => met.server.seen.length >= 6, 'more attempts')
    // 0.15 s to 0.3 s between two of them by then, in hasty time; at first it was 10 ms
    const before = met.server.seen.length
    await holds(() => met.server.seen.length <= before + 4, 400)
  })

  it('an answer to a request that nobody made', async () => {
    await says(/E_REGISTRY_PROTOCOL.*a reply to request 4711, expected 1/, {
      answer: (socket) => reply(socket, 4711, 0, names([])),
    })
  })

  it('an answer that ends too early, or counts more than it has', async () => {
    for (const body of [
      undefined,
      (writer: RecordWriter) => writer.int(1_000_000_000),
      (writer: RecordWriter) => writer.int(-7),
      (writer: RecordWriter) => writer.int(3).text('a').int(100),
    ])
      await says(/E_REGISTRY_PROTOCOL.*cannot be read/, { answer: (socket, { xid }) => reply(socket, xid, 0, body) })
  })

  it('pings alone are answered: a request without an answer ends, whatever else is said', async () => {
    await says(/E_REGISTRY_TIMEOUT.*no answer in/, { answer: () => undefined })
  })

  it('the same in the longest session that it may grant, which is left as soon', async () => {
    const metAt = hasty.monotonic()
    await says(/E_REGISTRY_TIMEOUT.*no answer in/, { greet: (socket) => greet(socket, 600_000) })
    // two thirds of the session would be 400 s
    expect(hasty.monotonic() - metAt).to.be.lessThan(300_000)
  })

  it('an answer that comes one byte now and then', async () => {
    const timers: NodeJS.Timeout[] = []
    await says(/E_REGISTRY_TIMEOUT.*no answer in/, {
      answer: (socket) => {
        socket.write(lengthOf(1_000_000))
        const timer = setInterval(() => socket.write('\0'), 20)
        timers.push(timer)
        socket.once('close', () => clearInterval(timer))
      },
    })
    for (const timer of timers) clearInterval(timer)
  })

  it('not a word, not even to pings', async () => {
    await says(/E_REGISTRY_TIMEOUT.*no word for/, { isDeaf: true, answer: () => undefined })
  })

  it('an answer of 100 MiB is read past, and the connection goes on', async () => {
    const piece = Buffer.alloc(1024 * 1024)
    const met = await says(/E_REGISTRY_PROTOCOL.*104857600 bytes, allowed/, {
      // long enough that a busy machine is not taken for a silent server
      greet: (socket) => greet(socket, 60_000),
      answer: (socket, { xid, type, path }) => {
        if (type !== Op.getChildren2 || path !== '/services/orders') return honest(socket, { xid, type, path })
        const head = Buffer.alloc(16)
        head.writeInt32BE(xid)
        socket.write(Buffer.concat([lengthOf(100 * piece.length), head]))
        for (let index = 0; index < 99; index++) socket.write(piece)
        socket.write(piece.subarray(16))
      },
    })
    const other = recordingListener()
    met.adapter.subscribe({ ...orders, name: 'billing' }, other)
    await other.untilIds(['10.0.0.1:80'])
    expect(met.server.seen).to.have.length(1)
  })

  it('four million children in one answer, all without a name or all with one', async () => {
    for (const name of ['', 'abcdefgh']) {
      const entry = Buffer.concat([lengthOf(name.length), Buffer.from(name)])
      const count = Math.floor((16 * 1024 * 1024 - 32) / entry.length)
      const body = Buffer.concat([lengthOf(count), Buffer.alloc(count * entry.length, entry)])
      const turns = watchTurns()
      const { listener } = await meet({
        answer: (socket, asked) => {
          if (asked.type !== Op.getChildren2) return honest(socket, asked)
          const head = Buffer.alloc(16)
          head.writeInt32BE(asked.xid)
          socket.write(Buffer.concat([lengthOf(16 + body.length), head, body]))
        },
      })
      await eventually(() => listener.story.length > 0, 'a word')
      expect(turns.end(), 'ms that the loop was busy at a time').to.be.lessThan(maxBusyMs)
      expect(listener.last?.endpoints.length ?? 0).to.be.at.most(10_000)
    }
  })

  it('a node that is there for one question and not for the next', async () => {
    let asked = 0
    await says(/E_REGISTRY_PROTOCOL.*is there and that it is not/, {
      answer: (socket, { xid, type }) => {
        asked++
        if (type === Op.exists) reply(socket, xid, 0, stat)
        else reply(socket, xid, Code.noNode)
      },
    })
    expect(asked).to.be.lessThan(100)
  })

  it('a flood of events, each of which asks for a new look', async () => {
    const event = (socket: Socket): void =>
      reply(socket, Xid.notification, 0, (writer) => writer.int(childrenChanged).int(3).text('/services/orders'))
    const turns = watchTurns()
    const { listener, adapter } = await meet({
      answer: (socket, asked) => {
        for (let index = 0; index < 1000; index++) event(socket)
        honest(socket, asked)
      },
    })
    const other = recordingListener()
    adapter.subscribe({ ...orders, name: 'billing' }, other)
    await other.untilIds(['10.0.0.1:80'])
    await holds(() => listener.sets.every(({ endpoints }) => endpoints.length <= 1), 500)
    expect(turns.end(), 'ms that the loop was busy at a time').to.be.lessThan(maxBusyMs)
  })

  it('one that claims the last of all transactions keeps nobody out for longer than a session', async () => {
    const met = await meet({
      answer: (socket, { xid }) => {
        reply(socket, xid, 0, names([]), 2n ** 63n - 1n)
        setTimeout(() => socket.end(), 5)
      },
      greet: (socket, timeoutMs) => {
        // an honest member refuses whoever has seen more than it knows
        if (met.server.seen.at(-1)! > 1000n) socket.end()
        else greet(socket, timeoutMs)
      },
    })
    await eventually(() => met.server.seen.length > 1 && met.server.seen.includes(2n ** 63n - 1n), 'the lie to be told')
    await eventually(() => met.server.seen.at(-1) === 0n, 'a greeting that has forgotten it')
  })
})
