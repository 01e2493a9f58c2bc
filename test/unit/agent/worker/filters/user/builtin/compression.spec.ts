import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { connect } from 'node:net'
import { expect } from 'chai'
import {
  acceptedEncoding,
  EncodingChoice,
} from '../../../../../../../agent/worker/filters/user/builtin/accepted-encoding.ts'
import { FilteredWorker } from '../../../../../../support/user-filters.ts'
import type { Got } from '../../../../../../support/user-filters.ts'

const json = JSON.stringify(Array.from({ length: 200 }, (_, id) => ({ id, name: `item ${id % 7}` })))
const settings = {
  encodings: ['zstd', 'br', 'gzip'],
  level: 1,
  minBytes: 100,
  contentTypes: ['text/*', 'application/json', 'application/*+json'],
}

describe('compression', () => {
  let worker: FilteredWorker

  beforeEach(async () => {
    worker = await FilteredWorker.start([{ name: 'small', builtin: 'compression', settings }])
  })

  afterEach(async () => {
    await worker.stop()
  })

  function answer(body: string, fields: string[] = ['Content-Type: application/json']): void {
    worker.backend.answer = () =>
      `HTTP/1.1 200 OK\r\n${fields.map((line) => `${line}\r\n`).join('')}Content-Length: ${body.length}\r\n\r\n${body}`
  }

  const get = (accepted: string, more: Record<string, string> = {}): Promise<Got> =>
    worker.call({ headers: { 'accept-encoding': accepted, ...more } })

  it('is in the encoding that the caller likes best, and says so', async () => {
    answer(json, ['Content-Type: application/json', 'ETag: "1"', 'Accept-Ranges: bytes'])
    const decoders = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync } as const
    for (const [name, decode] of Object.entries(decoders)) {
      for (const call of [worker.call.bind(worker), worker.callHttp2.bind(worker)]) {
        const { bytes, headers } = await call({ headers: { 'accept-encoding': name } })
        expect(headers).to.include({ 'content-encoding': name, vary: 'accept-encoding', etag: 'W/"1"' })
        expect(headers).to.not.have.any.keys('accept-ranges', 'content-length')
        expect(bytes.length).to.be.below(json.length / 2)
        expect(decode(bytes).toString()).to.equal(json)
      }
    }
  })

  it('drops digests of the bytes that the caller does not get, and no others', async () => {
    const digests = ['content-digest', 'repr-digest', 'digest', 'content-md5']
    answer(json, ['Content-Type: application/json', ...digests.map((name) => `${name}: sha-256=:AA==:`)])
    expect((await get('gzip')).headers).to.not.have.any.keys(...digests)
    expect((await get('identity')).headers).to.include.keys(...digests)
  })

  it('leaves alone what nobody asked for, what is compressed, short, of another type, partial, or not to be changed', async () => {
    answer(json)
    for (const accepted of ['', 'identity', 'gzip;q=0, deflate']) {
      const { body, headers } = await get(accepted)
      expect(body, accepted).to.equal(json)
      expect(headers).to.not.have.property('content-encoding')
      expect(headers['vary'], 'a cache must know').to.equal('accept-encoding')
    }
    const untouched: [string, string[]][] = [
      [json, ['Content-Type: application/json', 'Content-Encoding: x']],
      [json, ['Content-Type: image/png']],
      [json, []],
      [json, ['Content-Type: application/json', 'Cache-Control: private, no-transform']],
      ['short', ['Content-Type: application/json']],
    ]
    for (const [body, fields] of untouched) {
      answer(body, fields)
      const got = await get('gzip')
      expect(got.body).to.equal(body)
      expect(got.headers['content-length']).to.equal(String(body.length))
    }
    worker.backend.answer = () =>
      `HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-199/1000\r\nContent-Length: 200\r\n\r\n${'x'.repeat(200)}`
    expect((await get('gzip')).body).to.equal('x'.repeat(200))
    worker.backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 200\r\n\r\n'
    const head = await worker.call({ method: 'HEAD', headers: { 'accept-encoding': 'gzip' } })
    expect(head.headers).to.include({ 'content-length': '200' }).and.to.not.have.property('content-encoding')
  })

  it('of what is long or of unknown length is gzip, piece by piece', async () => {
    const long = json.repeat(100)
    answer(long, ['Content-Type: text/html; charset=utf-8', 'Vary: Origin'])
    const { bytes, headers } = await get('br, gzip')
    expect(headers).to.include({ 'content-encoding': 'gzip', vary: 'Origin, accept-encoding' })
    expect(gunzipSync(bytes).toString()).to.equal(long)
    answer(long, ['Content-Type: text/html'])
    expect((await get('br')).headers).to.not.have.property('content-encoding')
    worker.backend.answer = () =>
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
    expect(gunzipSync((await get('gzip')).bytes).length).to.equal(0)
  })

  it('is of what a filter before made of the content, however long that is', async () => {
    await worker.stop()
    const text = `export default () => ({ onReplyHead(r) { r.transformBody({ chunk: (b) => Buffer.concat([b, b]), end: () => Buffer.from('end') }) } })`
    worker = await FilteredWorker.start([
      { name: 'twice', text },
      { name: 'small', builtin: 'compression', settings },
    ])
    answer(json)
    const { bytes, headers } = await get('br, gzip')
    expect(headers).to.include({ 'content-encoding': 'gzip' })
    expect(gunzipSync(bytes).toString()).to.equal(`${json}${json}end`)
  })

  it('leaves the rest of a head of HTTP/1.1 as it came', async () => {
    worker.backend.answer = () =>
      `HTTP/1.1 200 Well Done\r\nX-Odd-CASE:  1\r\nContent-Type: text/plain\r\nX-Bound: a\r\nConnection: x-bound\r\nContent-Length: ${json.length}\r\n\r\n${json}`
    const socket = connect(worker.started.port('orders'), '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: orders\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n')
    const text = Buffer.concat(await socket.toArray()).toString('latin1')
    const head = text.slice(0, text.indexOf('\r\n\r\n'))
    expect(head).to.match(/^HTTP\/1\.1 200 Well Done\r\nX-Odd-CASE: {2}1\r\nContent-Type: text\/plain\r\n/)
    expect(head).to.contain('Transfer-Encoding: chunked').and.to.contain('content-encoding: gzip')
    expect(head).to.not.match(/content-length|x-bound/i)
  })

  it('to a caller of HTTP/1.0 ends with the connection', async () => {
    answer(json)
    const socket = connect(worker.started.port('orders'), '127.0.0.1')
    socket.write('GET / HTTP/1.0\r\nHost: orders\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n')
    const got = Buffer.concat(await socket.toArray())
    const end = got.indexOf('\r\n\r\n')
    expect(got.toString('latin1', 0, end).toLowerCase())
      .to.contain('content-encoding: gzip')
      .and.to.contain('connection: close')
      .and.to.not.match(/content-length|transfer-encoding/)
    expect(gunzipSync(got.subarray(end + 4)).toString()).to.equal(json)
  })

  it('holds no event of a stream back', async () => {
    worker.backend.answer = (_message, { socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
      socket.write('9\r\ndata: 1\n\n\r\n')
      return undefined
    }
    const socket = connect(worker.started.port('orders'), '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: orders\r\nAccept-Encoding: gzip\r\n\r\n')
    // the first chunk of the compressed stream holds the whole event
    const got: Buffer[] = []
    await new Promise<void>((resolve) => {
      socket.on('data', (piece: Buffer) => {
        got.push(piece)
        const text = Buffer.concat(got)
        const at = text.indexOf('\r\n\r\n')
        const chunk = at < 0 ? -1 : text.indexOf('\r\n', at + 4)
        if (chunk > 0 && text.length >= chunk + 2 + Number.parseInt(text.toString('latin1', at + 4, chunk), 16))
          resolve()
      })
    })
    const text = Buffer.concat(got)
    const from = text.indexOf('\r\n', text.indexOf('\r\n\r\n') + 4) + 2
    const { inflateRawSync, constants } = await import('node:zlib')
    const deflated = text.subarray(from + 10, text.length - 2)
    expect(inflateRawSync(deflated, { finishFlush: constants.Z_SYNC_FLUSH }).toString()).to.equal('data: 1\n\n')
    socket.destroy()
  })

  it('is chosen for each caller, whatever the one before said', () => {
    const choice = new EncodingChoice(['br', 'gzip'])
    const said = ['', 'gzip', 'gzip', 'br, gzip', 'gzip', 'identity', '', 'br']
    expect(said.map((accepted) => choice.of(accepted))).to.deep.equal(
      said.map((accepted) => acceptedEncoding(accepted, ['br', 'gzip'])),
    )
  })

  it('follows the weights of Accept-Encoding', () => {
    const of = (accepted: string): string | undefined => acceptedEncoding(accepted, ['zstd', 'br', 'gzip'])
    expect(of('gzip, deflate, br, zstd')).to.equal('zstd')
    expect(of('gzip;q=1.0, br;q=0.9')).to.equal('gzip')
    expect(of('*')).to.equal('zstd')
    expect(of('*;q=0.5, zstd;q=0')).to.equal('br')
    expect(of('x-gzip')).to.equal('gzip')
    expect(of('identity;q=1, gzip;q=0.5')).to.equal(undefined)
    expect(of('gzip;q=nonsense')).to.equal(undefined)
    expect(of('deflate')).to.equal(undefined)
  })
})
