import { expect } from 'chai'
import { createSocket } from 'node:dgram'
import { createNudge } from '../../../../../registry-adapters/nacos/legacy/nudge.ts'
import type { Nudge } from '../../../../../registry-adapters/nacos/legacy/nudge.ts'
import { adapterBench } from '../../../../support/nacos/bench-of-adapters.ts'
import type { FaultServer } from '../../../../support/nacos/fault-server.ts'
import { eventually, recordedDeps, recordingListener } from '../../../../support/registry-listener.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const payments = { ...orders, name: 'payments' }

/** Where the legacy package listens for pushes, as it told the server. */
function udpPort(server: FaultServer): number {
  return Number(
    server.httpSeen.find(({ parameters }) => Number(parameters['udpPort'] ?? 0) > 0)?.parameters['udpPort'] ?? 0,
  )
}

/** Alone, without an adapter that asks too. */
function nudgeTo(server: FaultServer): Promise<Nudge> {
  const { log } = recordedDeps()
  const nacos = { id: server.address, address: '127.0.0.1', port: server.port, host: '127.0.0.1' }
  return createNudge({ servers: [nacos], namespace: 'public', log, onHint: () => {} })
}

function questions(server: FaultServer, service: string): number {
  return server.httpSeen.filter(({ parameters }) => parameters['serviceName'] === `DEFAULT_GROUP@@${service}`).length
}

function send(port: number, text: string, from: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    socket.bind(0, from, () =>
      socket.send(text, port, '127.0.0.1', (error) => {
        socket.close()
        if (error === null) resolve()
        else reject(error)
      }),
    )
  })
}

describe('early news from a 1.x server', () => {
  const bench = adapterBench()
  afterEach(() => bench.closeAll())

  const watching = async (more: Parameters<typeof bench.open>[1] = {}) => {
    const server = await bench.server({ dialect: '1.x' })
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    const opened = bench.open([server], { ...more, times: { httpPollMs: 60_000 } })
    const listener = recordingListener()
    opened.adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    return { server, listener, ...opened }
  }

  it('brings a change long before the next poll', async () => {
    const { server, listener, deps } = await watching()
    await eventually(() => udpPort(server) > 0, 'the legacy package to listen')
    server.setHosts(orders, [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }])
    await listener.untilIds(['10.0.0.1:80', '10.0.0.2:80'])
    expect(deps.counted('registry_hints')).to.be.greaterThan(0)
  })

  it('is a hint only: a push with invented instances changes nothing', async () => {
    const { server, listener, deps } = await watching()
    await eventually(() => udpPort(server) > 0, 'the legacy package to listen')
    const data = JSON.stringify({
      name: 'DEFAULT_GROUP@@orders',
      clusters: '',
      hosts: [{ ip: '10.6.6.6', port: 80 }],
      lastRefTime: Date.now(),
    })
    const hints = deps.counted('registry_hints')
    await send(udpPort(server), JSON.stringify({ type: 'dom', data, lastRefTime: 1 }), '127.0.0.1')
    await eventually(() => deps.counted('registry_hints') > hints, 'the hint')
    server.setHosts(orders, [{ ip: '10.0.0.1' }, { ip: '10.0.0.3' }])
    await listener.untilIds(['10.0.0.1:80', '10.0.0.3:80'])
    expect(JSON.stringify(listener.sets)).to.not.include('10.6.6.6')
  })

  it('listens to the configured servers only, and answers no question about what it knows', async () => {
    const { server, listener, deps } = await watching()
    await eventually(() => udpPort(server) > 0, 'the legacy package to listen')
    const port = udpPort(server)
    const asker = createSocket('udp4')
    const answers: string[] = []
    asker.on('message', (message) => answers.push(message.toString()))
    await new Promise<void>((resolve) => asker.bind(0, '127.0.0.1', () => resolve()))
    const hints = deps.counted('registry_hints')
    for (const text of [
      '{"type":"dump"}',
      'garbage',
      '{"type":"dom","data":"{}"}',
      JSON.stringify({ type: 'dom', data: '{"name":"x","hosts":7}' }),
    ])
      await new Promise<void>((resolve) => asker.send(text, port, '127.0.0.1', () => resolve()))
    const data = JSON.stringify({ name: 'DEFAULT_GROUP@@orders', clusters: '', hosts: [], lastRefTime: Date.now() })
    await send(port, JSON.stringify({ type: 'dom', data, lastRefTime: 1 }), '127.0.0.9')
    expect(deps.counted('registry_hints')).to.equal(hints)
    server.setHosts(orders, [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }])
    await listener.untilIds(['10.0.0.1:80', '10.0.0.2:80'])
    expect(answers).to.deep.equal([])
    asker.close()
  })

  it('tells that the last instance is gone, which the legacy package never does', async () => {
    const { server, listener } = await watching()
    await eventually(() => udpPort(server) > 0, 'the legacy package to listen')
    server.setHosts(orders, [])
    await listener.untilIds([])
  })

  it('asks no more when it was closed while its first question was on its way', async () => {
    const server = await bench.server({ dialect: '1.x' })
    const closed = await nudgeTo(server)
    closed.watch(orders)
    await closed.close()
    await eventually(() => questions(server, 'orders') === 1, 'the first question')
    // another one that begins later has asked again by then
    const living = await nudgeTo(server)
    living.watch(payments)
    await eventually(() => questions(server, 'payments') === 2, 'questions of the other')
    await living.close()
    expect(questions(server, 'orders')).to.equal(1)
  })

  it('stops asking for a service that nobody watches any more, and asks again when somebody does', async () => {
    const server = await bench.server({ dialect: '1.x' })
    server.setHosts(orders, [{ ip: '10.0.0.1' }])
    const nudge = await nudgeTo(server)
    nudge.watch(orders)
    await eventually(() => questions(server, 'orders') === 1, 'the first question')
    nudge.unwatch(orders)
    nudge.watch(payments)
    await eventually(() => questions(server, 'payments') === 2, 'questions for another service')
    expect(questions(server, 'orders')).to.equal(1)
    nudge.watch(orders)
    await eventually(() => questions(server, 'orders') === 3, 'questions again')
    await nudge.close()
  })

  it('does without the legacy package where it would need credentials, because it writes them into URLs', async () => {
    const { server, deps } = await watching({ credentials: { kind: 'password', username: 'u', password: 'geheim' } })
    await eventually(() => deps.gauged('registry_http_only') === 1, 'polls')
    expect(udpPort(server)).to.equal(0)
    expect(server.httpSeen.map(({ target }) => target).join('\n')).to.not.include('geheim')
  })
})
