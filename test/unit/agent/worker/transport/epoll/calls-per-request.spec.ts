import { expect } from 'chai'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

import { epollTransports } from '../../../../../../agent/worker/transport/epoll/transports.ts'
import { openFastCalls } from '../../../../../../native/fast-calls.ts'
import type { FastCalls } from '../../../../../../native/fast-calls.ts'
import { startWorker } from '../../../../../support/worker/start-worker.ts'

/** The same calls, counted by name. */
function counted(calls: FastCalls, counts: Record<string, number>): FastCalls {
  const count =
    <A extends unknown[]>(name: string, call: (...args: A) => number) =>
    (...args: A): number => {
      counts[name] = (counts[name] ?? 0) + 1
      return call(...args)
    }
  return {
    fix: (bytes) => calls.fix(bytes),
    events: calls.events,
    source: calls.source,
    recv: count('recv', calls.recv),
    peek: count('peek', calls.peek),
    send: count('send', calls.send.bind(calls)),
    accept: count('accept', calls.accept),
    close: count('close', calls.close),
    splice: count('splice', calls.splice),
    epollCreate: calls.epollCreate,
    epollAdd: count('epollAdd', calls.epollAdd),
    epollChange: count('epollChange', calls.epollChange),
    epollRemove: count('epollRemove', calls.epollRemove),
    epollTake: count('epollTake', calls.epollTake),
  }
}

describe('a keep-alive request on sockets of our own', () => {
  it('costs two reads, two writes, at most one question for events, and nothing else', async () => {
    const origin = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    })
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
    const { port } = origin.address() as AddressInfo
    const counts: Record<string, number> = {}
    const started = await startWorker(
      { services: [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port }] }] },
      { transports: async (output) => epollTransports(output, counted(openFastCalls().calls!, counts)) },
    )
    const caller = connect({ port: started.port('orders'), host: '127.0.0.1', noDelay: true })
    const ask = () =>
      new Promise<void>((resolve) => {
        let text = ''
        const read = (chunk: Buffer): void => {
          text += chunk.toString('latin1')
          if (!text.endsWith('\r\n\r\nok')) return
          caller.off('data', read)
          resolve()
        }
        caller.on('data', read)
        caller.write('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
      })
    try {
      await ask()
      for (const name of Object.keys(counts)) counts[name] = 0
      for (let round = 0; round < 200; round++) await ask()
      const { epollTake = 0, ...rest } = Object.fromEntries(Object.entries(counts).filter(([, value]) => value > 0))
      expect(rest).to.deep.equal({ recv: 400, send: 400 })
      expect(epollTake).to.be.within(1, 401)
    } finally {
      caller.destroy()
      started.stop()
      origin.close()
    }
  })
})
