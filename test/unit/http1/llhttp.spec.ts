import { expect } from 'chai'

import { Method } from '../../../http1/types.ts'
import { readStream } from '../../support/http1/codec-driver.ts'
import type { SeenStream } from '../../support/http1/codec-driver.ts'
import { loadLlhttpBlocks } from '../../support/http1/llhttp-vectors.ts'
import type { LlhttpBlock } from '../../support/http1/llhttp-vectors.ts'

/**
 * Blocks that llhttp's strict mode takes and we refuse, or reads further than we do, each with the rule of
 * docs/http1.md that makes it so. (That a request needs a Host, R5, is not on the list: those blocks are run a second
 * time with a Host put in.)
 */
const stricter: Readonly<Record<string, string>> = {
  'request/connection.md: CRLF between requests, implicit `keep-alive`':
    'R6: two empty lines between requests, one is ignored',
  'request/connection.md: Upgrade POST request': 'R19, R20: no switch with a body, the body is read on',
  'request/content-length.md: Content-Length reset when no body is received':
    'R24: an announced body is read, never skipped',
  'request/method.md: CONNECT request': 'R33: CONNECT is not served',
  'request/method.md: CONNECT request with CAPS': 'R33: CONNECT is not served',
  'request/method.md: CONNECT with body': 'R33: CONNECT is not served',
  'request/uri.md: Underscore in hostname': 'R33: CONNECT is not served',
  'request/method.md: M-SEARCH request': 'R4: `*` is for OPTIONS',
  'request/method.md: SOURCE request with ICE': 'R2: ICE is not HTTP',
  'request/method.md: OPTIONS request with RTSP': 'R2: RTSP is not HTTP',
  'request/method.md: ANNOUNCE request with RTSP': 'R2: RTSP is not HTTP',
  'request/method.md: PRI request HTTP2': 'R33: the method is kept for the HTTP/2 preface',
  'request/sample.md: No HTTP version': 'R2: HTTP/0.9',
  'request/transfer-encoding.md: POST with `chunked` as last transfer-encoding': 'R3 fragment, R13 a second coding',
  'request/transfer-encoding.md: POST with `chunked` as last transfer-encoding (multiple headers)':
    'R3 fragment, R13 two lines',
  'request/uri.md: Fragment in URI': 'R3: fragment',
  'request/uri.md: `host:port` and basic auth': 'R5: userinfo',
  'response/connection.md: HTTP 101 response with Upgrade and Content-Length header': 'R19: a switch to h2c',
  'response/connection.md: HTTP 101 response with Upgrade and Transfer-Encoding header': 'R19: a switch to h2c',
  'response/connection.md: HTTP 304 with Content-Length': 'R6: an empty line before a reply',
  'response/connection.md: HTTP 100 first, then 400': 'R6: an empty line before a reply',
  'response/pipelining.md: Should parse multiple events': 'R6: an empty line before a reply',
  'response/sample.md: Response starting with CRLF': 'R6: an empty line before a reply',
  'response/sample.md: RTSP response': 'R2: RTSP is not HTTP',
  'response/sample.md: ICE response': 'R2: ICE is not HTTP',
  'response/sample.md: HTTP version 0.9': 'R2: HTTP/0.9',
  'response/transfer-encoding.md: `chunked` before other transfer-encoding': 'R13: a second coding',
  'response/transfer-encoding.md: multiple transfer-encoding where chunked is not the last one': 'R13: two lines',
  'response/transfer-encoding.md: `chunkedchunked` transfer-encoding does not enable chunked enconding':
    'R13: unknown coding',
}

const hostLine = 'Host: put.in\r\n'

describe('llhttp strict blocks', () => {
  for (const side of ['request', 'response'] as const) {
    describe(side, () => {
      const blocks = loadLlhttpBlocks(side)

      it('are all there', () => {
        const count = (outcome: string) => blocks.filter((block) => block.outcome === outcome).length
        expect([count('rejected'), count('stops'), count('accepted')]).to.deep.equal(
          side === 'request' ? [53, 10, 59] : [24, 2, 40],
        )
      })

      for (const [index, block] of blocks.entries()) {
        const reason = stricter[block.title]
        it(`${index} ${block.title}: ${reason === undefined ? block.outcome : `refused, ${reason}`}`, () => {
          const whole = run(block, block.input)
          expectSameInPieces(block, block.input, whole)
          if (block.outcome === 'rejected') {
            expect(whole.fault !== 0 || whole.rest !== '', 'a refusal').to.equal(true)
            return
          }
          if (reason !== undefined) {
            expect(differences(block, whole, block.messages).join(), reason).to.not.equal('')
            return
          }
          const withHost = side === 'request' ? putHostIn(block.input) : block.input
          const seen = withHost === block.input ? whole : run(block, withHost)
          if (withHost !== block.input) expectSameInPieces(block, withHost, seen)
          expect(differences(block, seen, block.messages)).to.deep.equal([])
        })
      }

      it('has no exception listed that is none', () => {
        const titles = new Set(blocks.map((block) => block.title))
        for (const title of Object.keys(stricter)) {
          if (title.startsWith(`${side}/`)) expect(titles.has(title), title).to.equal(true)
        }
      })
    })
  }
})

function run(block: LlhttpBlock, input: Buffer, pieceBytes?: number): SeenStream {
  return readStream(input, {
    isReply: block.side === 'response',
    requestMethod: block.skipsBody ? Method.head : Method.get,
    upgradeAsked: true,
    ...(pieceBytes === undefined ? {} : { pieceBytes }),
  })
}

/** Cutting the input never changes what is read; after a fault, how much of the last body had passed may differ. */
function expectSameInPieces(block: LlhttpBlock, input: Buffer, whole: SeenStream): void {
  for (let bytes = 1; bytes < input.length; bytes++) {
    const seen = run(block, input, bytes)
    for (const stream of [seen, whole]) {
      const last = stream.messages.at(-1)
      if (stream.fault !== 0 && last !== undefined) last.body = ''
    }
    expect(seen, `in pieces of ${bytes}`).to.deep.equal(whole)
  }
}

function differences(block: LlhttpBlock, seen: SeenStream, all: LlhttpBlock['messages']): string[] {
  const wanted = all.filter((message) => message.isHeadComplete)
  const found: string[] = []
  if (seen.fault !== 0) found.push(`fault ${seen.fault}`)
  if (seen.messages.length !== wanted.length) found.push(`${seen.messages.length} messages of ${wanted.length}`)
  for (const [index, message] of wanted.entries()) {
    const got = seen.messages[index]
    if (got === undefined) continue
    const fields = got.fields.filter(([name, value]) => `${name}: ${value}\r\n` !== hostLine)
    if (JSON.stringify(fields) !== JSON.stringify(message.fields.map(([name, value]) => [name, value.trim()])))
      found.push(`fields ${JSON.stringify(fields)}`)
    if (block.side === 'request' && (got.method !== message.method || got.target !== message.url))
      found.push(`start line ${got.method} ${got.target}`)
    if (got.body !== message.body) found.push(`body ${got.body}`)
    if (got.isComplete !== message.isComplete) found.push(`complete ${got.isComplete}`)
  }
  if (block.outcome === 'stops' && seen.rest === '' && !seen.messages.some((message) => message.isComplete))
    found.push('did not stop')
  if (block.finish !== undefined && seen.endsCleanly !== (block.finish !== 'cut short'))
    found.push(`end of input is ${seen.endsCleanly ? 'clean' : 'a cut'}`)
  return found
}

function putHostIn(input: Buffer): Buffer {
  const text = input.toString('latin1')
  if (/^host:/im.test(text)) return input
  return Buffer.from(text.replace(/^([A-Z-]+ \S+ HTTP\/1\.1\r\n)/gm, `$1${hostLine}`), 'latin1')
}
