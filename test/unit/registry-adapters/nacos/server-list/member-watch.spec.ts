import { systemClock } from '../../../../../contracts/clock.ts'
import { expect } from 'chai'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { MemberWatch } from '../../../../../registry-adapters/nacos/server-list/member-watch.ts'
import { ServerList } from '../../../../../registry-adapters/nacos/server-list/server-list.ts'
import { eventually } from '../../../../support/registry-listener.ts'

interface Member {
  readonly address: string
  readonly sockets: Set<Socket>
  accepted: number
  stop(): Promise<void>
  start(): Promise<void>
}

async function startMember(): Promise<Member> {
  let server: Server | undefined
  let port = 0
  const sockets = new Set<Socket>()
  const self: Member = {
    get address() {
      return `127.0.0.1:${port}`
    },
    sockets,
    accepted: 0,
    start: () =>
      new Promise((resolve, reject) => {
        const next = createServer((socket) => {
          self.accepted++
          sockets.add(socket)
          socket.on('error', () => undefined)
          socket.on('close', () => sockets.delete(socket))
          socket.resume()
        })
        next.once('error', reject)
        next.listen(port, '127.0.0.1', () => {
          port = (next.address() as { port: number }).port
          server = next
          resolve()
        })
      }),
    stop: () =>
      new Promise((resolve) => {
        const present = server
        server = undefined
        if (present === undefined) return resolve()
        present.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
  await self.start()
  return self
}

describe('watching the members of a Nacos cluster', () => {
  const members: Member[] = []
  const watches: MemberWatch[] = []
  afterEach(async () => {
    for (const watch of watches.splice(0)) watch.close()
    await Promise.all(members.splice(0).map((member) => member.stop()))
  })

  const watching = async (
    count: number,
    more: readonly string[] = [],
    resolve = (_name: string): Promise<readonly string[]> => Promise.resolve([]),
  ) => {
    for (let index = 0; index < count; index++) members.push(await startMember())
    const heard: string[] = []
    const servers = new ServerList([...members.map(({ address }) => address), ...more], 20, {
      clock: systemClock,
      random: Math.random,
      resolve,
      onProblem: () => undefined,
    })
    const watch = new MemberWatch({
      servers,
      portOf: ({ port }) => port,
      clock: systemClock,
      random: () => 0,
      connectTimeoutMs: 2000,
      onLost: ({ id }) => void heard.push(`lost ${id}`),
      onBack: ({ id }) => void heard.push(`back ${id}`),
    })
    watches.push(watch)
    watch.start()
    return { heard, servers, watch }
  }

  it('tells once that a server is lost and once that it is back', async () => {
    const { heard } = await watching(2)
    const victim = members[1]!
    await eventually(() => members.every(({ sockets }) => sockets.size === 1), 'both connections')
    await victim.stop()
    await eventually(() => heard.length > 0, 'the loss')
    await victim.start()
    await eventually(() => heard.length > 1, 'the return')
    expect(heard).to.deep.equal([`lost ${victim.address}`, `back ${victim.address}`])
  })

  it('takes no notice when a server only ends an idle connection', async () => {
    const { heard } = await watching(2)
    const [member] = members
    for (let round = 1; round <= 3; round++) {
      await eventually(() => member!.accepted === round && member!.sockets.size === 1, 'a connection')
      for (const socket of member!.sockets) socket.end()
    }
    await eventually(() => member!.accepted === 4, 'another connection')
    expect(heard).to.deep.equal([])
  })

  it('leaves a lone server alone, and begins and ends when the list changes', async () => {
    let resolved: readonly string[] = []
    const other = await startMember()
    const port = other.address.split(':')[1]!
    const { servers } = await watching(1, [`second:${port}`], () => Promise.resolve(resolved))
    members.push(other)
    servers.start()
    await eventually(() => members[0]!.sockets.size === 0, 'a lone server')
    resolved = ['127.0.0.1']
    await eventually(() => members.every(({ sockets }) => sockets.size === 1), 'both connections')
    expect(members[0]!.accepted).to.equal(1)
    // the name leads elsewhere now: this server is not in the list any more
    resolved = ['127.0.0.99']
    await eventually(() => other.sockets.size === 0, 'its end')
    servers.close()
  })
})
