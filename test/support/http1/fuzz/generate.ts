/**
 * Streams of HTTP/1.1 messages that are mostly right, and then damaged the way attackers and broken peers damage them.
 */
import type { Random } from './random.ts'

export interface FuzzStream {
  readonly bytes: Buffer
  /** Messages before damage. */
  readonly messages: number
  /** Nothing was damaged: every message must pass. */
  readonly isIntact: boolean
  /** Methods of an intact stream, or of the requests that an intact stream of replies answers. */
  readonly methods: readonly string[]
}

const targets = [
  '/',
  '/a',
  '/api/orders/17?x=1&y=%20',
  '/%2e%2e/%00',
  '//x//?',
  '/a;b=c',
  '/"quoted"|\\`{}',
  'http://other.example:81/p?q',
  'http://other.example',
  '/' + 'long/'.repeat(200),
]
const harmlessFields = [
  'Accept: */*',
  'User-Agent: fuzz/1.0 (x; y)',
  'X-Empty:',
  'X-Spaces:   a \t b   ',
  'X-Latin: caf\xe9',
  'Cookie: a=b; c=d',
  'Cookie: e=f',
  'Authorization: Basic eDp5',
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'X-Mesh-Source: me',
  'x_mesh_source: me',
  'X-Forwarded-Client-Cert: me',
  'X-Mesh-Service: other',
  'Via: 1.1 other',
  'Connection: keep-alive',
  'Connection: X-Hop, keep-alive',
  'X-Hop: 1',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'TE: trailers',
  'TE: gzip;q=0.5, trailers',
  'Upgrade: h2c',
  'HTTP2-Settings: AAMAAABkAAQAAP__',
  'Max-Forwards: 10',
  'Transfer_Encoding: chunked',
  'Content-Length-X: 5',
]
const trailers = ['X-Sum: 1', 'grpc-status: 0', 'Content-Length: 5', 'Host: evil', 'X-Mesh-Source: me', 'Trailer: x']
const extensions = ['', '', '', ';a', ';a=b', ';a="b;c"', ';a;b;c=d']

function body(random: Random): string {
  const length = random.chance(0.1) ? random.below(5000) : random.below(40)
  let text = ''
  while (text.length < length)
    text += random.pick(['hello', '\r\n', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', '0\r\n\r\n', '\0\xff'])
  return text.slice(0, length)
}

function chunked(random: Random, content: string): string {
  let text = ''
  for (let at = 0; at < content.length;) {
    const size = 1 + random.below(random.chance(0.2) ? 1 + content.length : 8)
    const piece = content.slice(at, at + size)
    const digits = piece.length.toString(16)
    text += `${random.chance(0.1) ? digits.toUpperCase().padStart(4, '0') : digits}${random.pick(extensions)}\r\n${piece}\r\n`
    at += piece.length
  }
  text += `0${random.pick(extensions)}\r\n`
  while (random.chance(0.15)) text += `${random.pick(trailers)}\r\n`
  return `${text}\r\n`
}

function fields(random: Random): string[] {
  const lines: string[] = []
  while (lines.length < 8 && random.chance(0.6)) lines.push(random.pick(harmlessFields))
  return lines
}

/** Puts the framing somewhere among the lines; answers the text behind the head. */
function addBody(random: Random, lines: string[]): string {
  const kind = random.below(4)
  if (kind < 2) {
    if (kind === 1) lines.splice(random.below(lines.length + 1), 0, 'Content-Length: 0')
    return ''
  }
  const content = body(random)
  const at = random.below(lines.length + 1)
  if (kind === 2) {
    lines.splice(at, 0, `Content-Length:${random.pick([' ', '', '  ', '\t', ' 00'])}${content.length}`)
    return content
  }
  lines.splice(
    at,
    0,
    random.pick(['Transfer-Encoding: chunked', 'transfer-encoding:Chunked', 'Transfer-Encoding:  chunked\t']),
  )
  return chunked(random, content)
}

/** One to four requests on one connection. Only the last may end it. */
export function requestStream(random: Random, damageShare = 0.7): FuzzStream {
  const isIntact = !random.chance(damageShare)
  const count = 1 + random.below(4)
  const methods: string[] = []
  let text = ''
  for (let i = 0; i < count; i++) {
    const method = random.pick([
      'GET',
      'GET',
      'POST',
      'PUT',
      'DELETE',
      'PATCH',
      'PROPFIND',
      ...(isIntact ? ['HEAD', 'OPTIONS'] : []),
    ])
    const lines = fields(random).filter((line) => method !== 'OPTIONS' || !line.startsWith('Max-Forwards'))
    lines.splice(
      random.below(lines.length + 1),
      0,
      `Host: ${random.pick(['a', 'a.example:8080', '[::1]:80', '127.0.0.1'])}`,
    )
    const content = addBody(random, lines)
    const isLast = i === count - 1
    const version = isLast && !lines.some((line) => /^transfer-enc/i.test(line)) && random.chance(0.1) ? '1.0' : '1.1'
    if (isLast && random.chance(0.2)) lines.push('Connection: close')
    if (random.chance(0.05)) text += '\r\n'
    text += `${method} ${random.pick(targets)} HTTP/${version}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${content}`
    methods.push(method)
  }
  return { bytes: damage(random, text, isIntact), messages: count, isIntact, methods }
}

/** One to three replies, each perhaps after interim ones. */
export function replyStream(random: Random, damageShare = 0.7): FuzzStream {
  const isIntact = !random.chance(damageShare)
  const count = 1 + random.below(3)
  const methods: string[] = []
  let text = ''
  for (let i = 0; i < count; i++) {
    const method = random.pick(['GET', 'POST', 'HEAD'])
    while (random.chance(0.15))
      text += random.pick(['HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'])
    const status = random.pick([200, 200, 201, 204, 304, 404, 500, 599])
    const hasNoBody = method === 'HEAD' || status === 204 || status === 304
    const lines = fields(random)
      .filter((line) => !/^(?:connection|upgrade)/i.test(line))
      .concat(random.chance(0.3) ? ['Set-Cookie: a=1', 'Set-Cookie: b=2'] : [])
    let content = addBody(random, lines)
    const isFramed = lines.some((line) => /^(?:content-length|transfer-encoding):/i.test(line))
    if (hasNoBody) content = ''
    else if (!isFramed) lines.push('Content-Length: 0')
    text += `HTTP/1.1 ${status} ${random.pick(['OK', '', 'Some Reason', 'caf\xe9'])}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${content}`
    methods.push(method)
  }
  return { bytes: damage(random, text, isIntact), messages: count, isIntact, methods }
}

const nastyLines = [
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding: \x0bchunked',
  'Content-Length: 5',
  'Content-Length: +5',
  'Content-Length: 5, 5',
  'Content-Length: 0x5',
  'Content-Length: 99999999999999999999',
  'Host: b',
  'Host: u@b/',
  'Expect: 100-continue',
  'Expect: x',
  'Connection: close, content-length, host',
  'Connection: Upgrade\r\nUpgrade: websocket',
  ' folded',
  ': empty',
  'no colon',
  'bad name: x',
  'nul: a\0b',
  'cr: a\rb',
  'Upgrade: websocket',
]
const nastyBytes = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '\x7f',
  '\x80',
  '\xff',
  '0',
  'a',
  '-',
  '\x0b',
  '#',
  '"',
]

function damage(random: Random, text: string, isIntact: boolean): Buffer {
  if (isIntact) return Buffer.from(text, 'latin1')
  let damaged = text
  const times = 1 + random.below(3)
  for (let i = 0; i < times; i++) {
    const at = random.below(damaged.length + 1)
    switch (random.below(10)) {
      case 0:
        damaged = damaged.slice(0, at) + random.pick(nastyBytes) + damaged.slice(at)
        break
      case 1:
        damaged = damaged.slice(0, at) + damaged.slice(at + 1 + random.below(3))
        break
      case 2:
        damaged = damaged.slice(0, at) + random.pick(nastyBytes) + damaged.slice(at + 1)
        break
      case 3:
        damaged = replaceNth(
          damaged,
          '\r\n',
          random.pick(['\n', '\r', '\r\r\n', '\n\r', '\r\n\r\n', ' \r\n', '\r\n ']),
          random,
        )
        break
      case 4:
      case 5:
        damaged = replaceNth(damaged, '\r\n', `\r\n${random.pick(nastyLines)}\r\n`, random)
        break
      case 6:
        damaged = damaged.slice(0, at)
        break
      case 7: {
        const from = random.below(damaged.length + 1)
        damaged = damaged.slice(0, at) + damaged.slice(from, from + random.below(60)) + damaged.slice(at)
        break
      }
      case 8:
        damaged = replaceNth(
          damaged,
          'HTTP/1.1',
          random.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', 'HTTP/1.', 'HTTP/0.9']),
          random,
        )
        break
      default:
        damaged =
          damaged.slice(0, at) +
          String.fromCharCode(...Array.from({ length: random.below(30) }, () => random.below(256))) +
          damaged.slice(at)
    }
  }
  return Buffer.from(damaged, 'latin1')
}

function replaceNth(text: string, wanted: string, by: string, random: Random): string {
  const count = text.split(wanted).length - 1
  if (count === 0) return text
  let at = -1
  for (let n = random.below(count); n >= 0; n--) at = text.indexOf(wanted, at + 1)
  return text.slice(0, at) + by + text.slice(at + wanted.length)
}
