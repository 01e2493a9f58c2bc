/**
 * A strict reader of HTTP/1.1 streams for judging what the mesh sent, written from RFC 9110 and RFC 9112 and apart from
 * the mesh's own codec: whole streams as text, line by line, by regular expressions. It knows no leniency at all.
 * Shares no code and no table with `agent/`.
 */

export interface StrictMessage {
  readonly startLine: string
  readonly method: string
  readonly target: string
  readonly status: number
  readonly fields: readonly (readonly [string, string])[]
  readonly body: string
  readonly trailers: readonly (readonly [string, string])[]
}

export interface StrictStream {
  readonly messages: readonly StrictMessage[]
  /** What is wrong, with the place; undefined = every byte is accounted for. */
  readonly problem: string | undefined
  /** The stream stops inside a message that is good so far. */
  readonly isCut: boolean
  /** Bytes behind a request for an upgrade that was granted, or behind a 101. */
  readonly tunnel: string
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// Text of a field: visible ASCII, obs-text, inner SP and HTAB
const fieldText = /^(?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/
const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\/[\x21\x22\x24-\x7e]*|\*) HTTP\/1\.1$/
const statusLine = /^HTTP\/1\.1 ([1-9][0-9]{2}) ([\t \x21-\x7e\x80-\xff]*)$/
const hostText = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?$/
const sizeLine = /^[0-9A-Fa-f]{1,16}$/
const forOneHop = ['keep-alive', 'proxy-connection', 'http2-settings']
const notInTrailers = [
  'transfer-encoding',
  'content-length',
  'host',
  'connection',
  'te',
  'trailer',
  'upgrade',
  'authorization',
  'content-type',
  'content-encoding',
  'content-range',
  'cookie',
  'set-cookie',
  'cache-control',
  'expect',
]

class Cut extends Error {}
class Bad extends Error {}

/**
 * One connection's requests as a server gets them. hasSwitched: the server answered a request for an upgrade with 101,
 * so what follows it is a tunnel.
 */
export function parseRequests(bytes: Buffer, hasSwitched = false): StrictStream {
  return parse(bytes, (reader) => readRequest(reader), hasSwitched)
}

/**
 * One connection's replies as a client gets them. methods: of the requests, in order; interim replies do not count.
 * isClosed: the connection ended after these bytes, which is what ends a reply without framing.
 */
export function parseReplies(bytes: Buffer, methods: readonly string[], isClosed: boolean): StrictStream {
  let index = 0
  return parse(
    bytes,
    (reader) => {
      const method = methods[index]
      if (method === undefined) throw new Bad('a reply that nobody asked for')
      const reply = readReply(reader, method, isClosed)
      if (reply.status >= 200 || reply.status === 101) index++
      return reply
    },
    true,
  )
}

function parse(bytes: Buffer, readMessage: (reader: Reader) => StrictMessage, stopsAtSwitch: boolean): StrictStream {
  const reader = new Reader(bytes.toString('latin1'))
  const messages: StrictMessage[] = []
  while (!reader.isAtEnd) {
    const begin = reader.at
    try {
      const message = readMessage(reader)
      messages.push(message)
      if (stopsAtSwitch && isSwitch(message))
        return { messages, problem: undefined, isCut: false, tunnel: reader.rest() }
    } catch (error) {
      if (error instanceof Cut) return { messages, problem: undefined, isCut: true, tunnel: '' }
      if (!(error instanceof Bad)) throw error
      return {
        messages,
        problem: `message ${messages.length + 1} at byte ${begin}: ${error.message}`,
        isCut: false,
        tunnel: '',
      }
    }
  }
  return { messages, problem: undefined, isCut: false, tunnel: '' }
}

function isSwitch(message: StrictMessage): boolean {
  return message.status === 101 || (message.method === 'GET' && valuesOf(message.fields, 'upgrade').length > 0)
}

class Reader {
  readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  get isAtEnd(): boolean {
    return this.at === this.text.length
  }

  /** Up to CRLF. A CR or LF anywhere else, also in the unfinished last line, is bad. */
  line(): string {
    const end = this.text.indexOf('\r\n', this.at)
    const line = end < 0 ? this.text.slice(this.at) : this.text.slice(this.at, end)
    const inner = end < 0 && line.endsWith('\r') ? line.slice(0, -1) : line
    if (/[\r\n]/.test(inner)) throw new Bad(`bare CR or LF in ${JSON.stringify(line.slice(0, 80))}`)
    if (end < 0) {
      // oxlint-disable-next-line no-control-regex
      if (/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(line)) throw new Bad('control character in an unfinished line')
      throw new Cut()
    }
    this.at = end + 2
    return line
  }

  take(length: number): string {
    if (this.at + length > this.text.length) throw new Cut()
    this.at += length
    return this.text.slice(this.at - length, this.at)
  }

  rest(): string {
    const rest = this.text.slice(this.at)
    this.at = this.text.length
    return rest
  }
}

function readFields(reader: Reader): (readonly [string, string])[] {
  const fields: (readonly [string, string])[] = []
  for (;;) {
    const line = reader.line()
    if (line === '') return fields
    const colon = line.indexOf(':')
    if (colon < 0) throw new Bad(`field without a colon ${JSON.stringify(line.slice(0, 80))}`)
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, '')
    if (!token.test(name)) throw new Bad(`field name ${JSON.stringify(name.slice(0, 80))}`)
    if (!fieldText.test(value)) throw new Bad(`value of ${name}`)
    fields.push([name.toLowerCase(), value])
  }
}

function valuesOf(fields: readonly (readonly [string, string])[], name: string): string[] {
  return fields.filter(([found]) => found === name).map(([, value]) => value)
}

function readRequest(reader: Reader): StrictMessage {
  const startLine = reader.line()
  const parts = requestLine.exec(startLine)
  if (parts === null) throw new Bad(`request line ${JSON.stringify(startLine.slice(0, 120))}`)
  const [, method, target] = parts as unknown as [string, string, string]
  if (target === '*' && method !== 'OPTIONS') throw new Bad('* without OPTIONS')
  if (target.includes('#')) throw new Bad('fragment')
  const fields = readFields(reader)
  const hosts = valuesOf(fields, 'host')
  if (hosts.length !== 1) throw new Bad(`${hosts.length} Host fields`)
  if (!hostText.test(hosts[0] as string)) throw new Bad(`Host ${JSON.stringify(hosts[0])}`)
  checkHops(fields)
  const framing = framingOf(fields)
  const { body, trailers } = framing === 'none' ? { body: '', trailers: [] } : readBody(reader, framing)
  return { startLine, method, target, status: 0, fields, body, trailers }
}

function readReply(reader: Reader, method: string, isClosed: boolean): StrictMessage {
  const startLine = reader.line()
  const parts = statusLine.exec(startLine)
  if (parts === null) throw new Bad(`status line ${JSON.stringify(startLine.slice(0, 120))}`)
  const status = Number(parts[1])
  const fields = readFields(reader)
  checkHops(fields)
  const framing = framingOf(fields)
  const base = { startLine, method: '', target: '', status, fields }
  if (status < 200 || status === 204) {
    if (framing !== 'none') throw new Bad(`${status} with Content-Length or Transfer-Encoding`)
    return { ...base, body: '', trailers: [] }
  }
  if (status === 304 || method === 'HEAD') return { ...base, body: '', trailers: [] }
  if (framing !== 'none') return { ...base, ...readBody(reader, framing) }
  if (!isClosed) throw new Cut()
  return { ...base, body: reader.rest(), trailers: [] }
}

function checkHops(fields: readonly (readonly [string, string])[]): void {
  for (const name of forOneHop) if (valuesOf(fields, name).length > 0) throw new Bad(`${name} was forwarded`)
  const options = valuesOf(fields, 'connection').flatMap((value) => value.toLowerCase().split(/[\t ]*,[\t ]*/))
  for (const option of options) {
    if (!['close', 'keep-alive', 'upgrade', 'te'].includes(option)) throw new Bad(`connection option ${option}`)
  }
  if (valuesOf(fields, 'upgrade').length > 0 && !options.includes('upgrade')) throw new Bad('Upgrade not in Connection')
  if (valuesOf(fields, 'te').some((value) => value !== 'trailers')) throw new Bad('TE other than trailers')
}

type Framing = 'none' | 'chunked' | number

function framingOf(fields: readonly (readonly [string, string])[]): Framing {
  const lengths = valuesOf(fields, 'content-length')
  const codings = valuesOf(fields, 'transfer-encoding')
  if (lengths.length + codings.length > 1) throw new Bad('framing announced more than once')
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') throw new Bad(`Transfer-Encoding ${JSON.stringify(codings[0])}`)
    return 'chunked'
  }
  const length = lengths[0]
  if (length === undefined) return 'none'
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(length) || !Number.isSafeInteger(Number(length)))
    throw new Bad(`Content-Length ${JSON.stringify(length)}`)
  return Number(length)
}

function readBody(
  reader: Reader,
  framing: 'chunked' | number,
): { body: string; trailers: (readonly [string, string])[] } {
  if (framing !== 'chunked') return { body: reader.take(framing), trailers: [] }
  let body = ''
  for (;;) {
    const line = reader.line()
    if (!sizeLine.test(line)) throw new Bad(`chunk line ${JSON.stringify(line.slice(0, 80))}`)
    const size = Number.parseInt(line, 16)
    if (!Number.isSafeInteger(size)) throw new Bad(`chunk size ${line}`)
    if (size === 0) break
    body += reader.take(size)
    const end = reader.text.slice(reader.at, reader.at + 2)
    if (end !== '\r\n' && !'\r\n'.startsWith(end)) throw new Bad('chunk data without CRLF')
    reader.take(2)
  }
  const trailers = readFields(reader)
  for (const [name] of trailers) if (notInTrailers.includes(name)) throw new Bad(`${name} in the trailers`)
  return { body, trailers }
}
