/** What a caller may hold of the admin ports' connections, and what one connection may ask for. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect } from 'chai'
import type { AdminPage } from '../../../../../agent/control/admin/http.ts'
import { textReply } from '../../../../../agent/control/admin/http.ts'
import { AdminServer } from '../../../../../agent/control/admin/server.ts'
import { closing } from '../../../../support/closing.ts'
import { eventually } from '../../../../support/registry-listener.ts'
import { recordingLog } from '../support/fake-registry.ts'

describe('connections to the admin ports', () => {
  let server: AdminServer
  let port: number
  let asked: number
  let counted: string[]
  let clients: Socket[]
  /** As if the next connection came from there. */
  let nextAddress: (() => string) | undefined
  let answers: (() => void)[]

  const pages: readonly AdminPage[] = [
    { path: '/ready', method: 'GET', isPublic: 'metrics', help: '', answer: () => textReply('LIVE') },
    {
      path: '/metrics',
      method: 'GET',
      isPublic: 'metrics',
      help: '',
      answer: () => {
        asked++
        return new Promise((resolve) => answers.push(() => resolve(textReply('metrics'))))
      },
    },
  ]
  const open = (): Socket => {
    const client = connect(port, '127.0.0.1').on('error', () => undefined)
    clients.push(client)
    return client
  }
  /** All that it says until it ends. */
  const told = async (client: Socket): Promise<string> => {
    let text = ''
    client.on('data', (chunk: Buffer) => (text += String(chunk)))
    await closing(client)
    return text
  }

  beforeEach(async () => {
    asked = 0
    counted = []
    clients = []
    answers = []
    nextAddress = undefined
    const uidOf = (socket: Socket): number | undefined => {
      if (nextAddress !== undefined) Object.defineProperty(socket, 'remoteAddress', { value: nextAddress() })
      return undefined
    }
    server = new AdminServer(pages, {
      log: recordingLog(),
      metrics: { count: (name, labels) => void counted.push(`${name} ${Object.values(labels ?? {}).join(' ')}`) },
      callers: { uidOf },
      socketApis: [],
    })
    port = await server.listen('metrics', { host: '127.0.0.1', port: 0 })
  })
  afterEach(async () => {
    for (const client of clients) client.destroy()
    await server.close()
  })

  it('end when they pipeline: of 1,500 heads that nobody reads answers to, one is asked', async () => {
    const client = open()
    client.write('GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'.repeat(1500))
    await closing(client.resume())
    expect(asked).to.equal(1)
    expect(counted).to.deep.equal(['admin_connections_refused metrics pipelined'])
  })

  for (const method of ['GET', 'HEAD'])
    it(`are not waited for when their ${method} announces a body that no page takes`, async () => {
      const client = open()
      client.write(`${method} /ready HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1\r\n\r\n`)
      const began = performance.now()
      const text = await told(client)
      expect(text).to.match(/^HTTP\/1.1 200 /)
      expect(text.toLowerCase()).to.include('connection: close')
      expect(performance.now() - began, 'before a request is over its time').to.be.lessThan(8000)
    })

  it('stay when a GET says that it has no body', async () => {
    const client = open()
    for (let count = 0; count < 2; count++) {
      client.write('GET /ready HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n')
      expect(String((await once(client, 'data'))[0])).to.include('LIVE')
    }
  })

  it('of one IPv6 network are of one caller, and shut nobody else out', async () => {
    let host = 0
    nextAddress = () => `2001:db8:0:1::${(++host).toString(16)}`
    const busy = Array.from({ length: 20 }, open)
    for (const client of busy) client.resume().write('GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')
    await eventually(() => asked === 16 && busy.filter((client) => client.closed).length === 4, 'four were refused')
    expect(counted).to.deep.equal(Array(4).fill('admin_connections_refused metrics mostPerCaller'))
    nextAddress = () => '2001:db8:0:2::1'
    const other = open()
    other.write('GET /ready HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n')
    expect(await told(other)).to.include('LIVE')
    for (const answer of answers) answer()
  })
})
