import { expect } from 'chai'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createSecureContext } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'

import { maxHelloBytes, readClientHello } from '../../../../../../agent/worker/transport/tls/client-hello.ts'
import { Engine } from '../../../../../../agent/worker/transport/tls/engine.ts'
import { seededRandom } from '../../../../../support/seeded-random.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'

/** What OpenSSL says first. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const caller = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...options })
  caller.on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  caller.destroy()
  socket.destroy()
  server.close()
  return bytes
}

/** The same message in records of `size` bytes. */
function inRecordsOf(size: number, hello: Buffer): Buffer {
  const content = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < content.length; at += size) {
    const part = content.subarray(at, at + size)
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part)
  }
  return Buffer.concat(records)
}

describe('the reader of a TLS hello', () => {
  let hello: Buffer
  const said = { serverName: 'orders.example.com', protocols: ['h2', 'http/1.1'], versions: [0x03_04, 0x03_03] }

  before(async () => {
    hello = await helloOf({ servername: 'Orders.Example.COM', ALPNProtocols: ['h2', 'http/1.1'] })
  })

  it('reads name, protocols and versions as OpenSSL sends them', () => {
    expect(readClientHello(hello)).to.deep.equal(said)
  })

  it('reads a hello of TLS 1.2 and one without a name', async () => {
    const older = await helloOf({ servername: 'a.example', maxVersion: 'TLSv1.2' })
    expect(readClientHello(older)).to.deep.equal({ serverName: 'a.example', protocols: [], versions: [0x03_03] })
    expect(readClientHello(await helloOf({}))).to.include({ serverName: '' })
  })

  it('finds no name in a hello of ours that would name an address, which is no name', async () => {
    const out: Buffer[] = []
    const own = { role: 'client', context: createSecureContext(), asksCertificate: false, protocols: ['h2'] } as const
    const engine = new Engine(
      { ...own, serverName: '10.0.0.1' },
      { onOutput: (bytes) => void out.push(bytes), onFinished: () => undefined, onFailed: () => undefined },
    )
    await eventually(() => out.length > 0)
    expect(readClientHello(Buffer.concat(out))).to.include({ serverName: '' })
    engine.end()
  })

  it('asks for more at every length before the last byte, and reads on over what follows it', () => {
    for (let length = 0; length < hello.length; length++) {
      expect(readClientHello(hello.subarray(0, length)), `${length} bytes`).to.equal('more')
    }
    expect(readClientHello(Buffer.concat([hello, Buffer.from('what comes then')]))).to.deep.equal(said)
  })

  it('joins a message that is cut over several records, up to a bound on records', () => {
    expect(readClientHello(inRecordsOf(100, hello))).to.deep.equal(said)
    expect(readClientHello(inRecordsOf(1, hello))).to.equal('none')
  })

  it('takes nothing else for a hello, by the first byte where that tells', () => {
    for (const other of ['GET / HTTP/1.1\r\n', 'SSH-2.0-x\r\n', '\u0000\u0000\u0000\b']) {
      expect(readClientHello(Buffer.from(other).subarray(0, 1)), other).to.equal('none')
    }
    expect(readClientHello(Buffer.from([22, 2])), 'another version of records').to.equal('none')
    expect(readClientHello(Buffer.from([22, 3, 1, 0, 0])), 'an empty record').to.equal('none')
    expect(readClientHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])), 'a server hello').to.equal('none')
    expect(readClientHello(Buffer.from([22, 3, 1, 0x40, 1])), 'a record over its bound').to.equal('none')
  })

  it('takes a hello over its bound for none before it has come', () => {
    const length = maxHelloBytes + 1
    expect(readClientHello(Buffer.from([22, 3, 1, 0x40, 0, 1, 0, length >> 8, length & 255]))).to.equal('none')
  })

  it('takes a name that no host has for no name', async () => {
    const strange = await helloOf({ servername: 'a b\u0007"c' })
    expect(readClientHello(strange)).to.include({ serverName: '' })
  })

  it('neither throws nor names anything but a host whatever is in the bytes', () => {
    const random = seededRandom(7)
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(hello)
      const changes = 1 + Math.floor(random() * 4)
      for (let change = 0; change < changes; change++) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      }
      const read = readClientHello(bytes.subarray(0, Math.floor(random() * (bytes.length + 1))))
      if (typeof read === 'object') expect(read.serverName).to.match(/^[a-z0-9._-]*$/)
    }
  })
})
