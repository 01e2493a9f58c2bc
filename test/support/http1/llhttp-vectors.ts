/**
 * Reads the test blocks of llhttp's markdown files (`vectors/llhttp`, MIT): input bytes and the events that a strict
 * parser must yield. Format: a heading, a comment with `meta={…}`, a fenced `http` block, a fenced `log` block; the
 * escapes are llhttp's own.
 */
import { readdirSync, readFileSync } from 'node:fs'

export interface LlhttpBlock {
  /** `request/method.md: PURGE request`. */
  readonly title: string
  readonly side: 'request' | 'response'
  readonly input: Buffer
  readonly outcome: 'accepted' | 'rejected' | 'stops'
  /** A reply to HEAD. */
  readonly skipsBody: boolean
  /** End-of-input blocks: what the end means there. */
  readonly finish: 'safe' | 'ends message' | 'cut short' | undefined
  readonly messages: readonly LlhttpMessage[]
}

/** What llhttp saw of one message; all texts with one character per byte. */
export interface LlhttpMessage {
  method: string
  url: string
  status: string
  fields: [string, string][]
  /** Field lines after the body. */
  trailers: [string, string][]
  body: string
  isHeadComplete: boolean
  isComplete: boolean
}

const folder = new URL('./vectors/llhttp/', import.meta.url)

export function loadLlhttpBlocks(side: 'request' | 'response'): readonly LlhttpBlock[] {
  const blocks: LlhttpBlock[] = []
  for (const file of readdirSync(new URL(`${side}/`, folder)).toSorted()) {
    if (!file.endsWith('.md')) continue
    blocks.push(...parseFile(readFileSync(new URL(`${side}/${file}`, folder), 'utf8'), `${side}/${file}`, side))
  }
  return blocks
}

function parseFile(text: string, file: string, side: 'request' | 'response'): LlhttpBlock[] {
  const blocks: LlhttpBlock[] = []
  let heading = ''
  let meta: Record<string, unknown> | undefined
  let input: string | undefined
  const lines = text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string
    if (line.startsWith('#')) heading = line.replace(/^#+ /, '')
    const found = /<!--\s*meta=(\{.*\})\s*-->/.exec(line)
    if (found !== null) meta = JSON.parse(found[1] as string) as Record<string, unknown>
    if (line !== '```http' && line !== '```log') continue
    const content: string[] = []
    for (i++; lines[i] !== '```'; i++) content.push(lines[i] as string)
    if (line === '```http') {
      input = content.join('\n')
      continue
    }
    const type = meta?.['type']
    if (input === undefined || (type !== side && type !== `${side}-finish`)) continue
    blocks.push(block(`${file}: ${heading}`, side, input, content, meta?.['skipBody'] === true, type !== side))
    input = undefined
  }
  return blocks
}

function block(
  title: string,
  side: 'request' | 'response',
  input: string,
  log: readonly string[],
  skipsBody: boolean,
  isFinish: boolean,
): LlhttpBlock {
  const failure = log.find((line) => / error code=/.test(line))
  const outcome = failure === undefined ? 'accepted' : /reason="Pause/.test(failure) ? 'stops' : 'rejected'
  const ending = isFinish ? /finish=(\d)/.exec(log.join('\n'))?.[1] : undefined
  return {
    title,
    side,
    input: inputBytes(input),
    outcome,
    skipsBody,
    finish: ending === undefined ? undefined : ending === '0' ? 'safe' : ending === '1' ? 'ends message' : 'cut short',
    messages: messagesOf(log),
  }
}

/**
 * Order of the steps: a backslash before a newline joins lines, remaining newlines are CRLF, then escapes; characters
 * are UTF-8.
 */
function inputBytes(text: string): Buffer {
  const joined = text.replace(/\\\n/g, '').replace(/\n/g, '\r\n')
  const unescaped = joined.replace(/\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|([rntf]))/g, (_, hex, octal, letter) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(String(hex), 16))
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(String(octal), 8))
    return { r: '\r', n: '\n', t: '\t', f: '\f' }[String(letter)] as string
  })
  return Buffer.from(unescaped, 'utf8')
}

function messagesOf(log: readonly string[]): LlhttpMessage[] {
  const messages: LlhttpMessage[] = []
  let last = ''
  for (const line of log) {
    const message = messages.at(-1)
    if (line.endsWith(' message begin')) {
      messages.push({
        method: '',
        url: '',
        status: '',
        fields: [],
        trailers: [],
        body: '',
        isHeadComplete: false,
        isComplete: false,
      })
      last = ''
      continue
    }
    if (message === undefined) continue
    if (/ headers complete/.test(line)) message.isHeadComplete = true
    if (line.endsWith(' message complete')) message.isComplete = true
    const span = /len=(\d+) span\[(\w+)\](?:="(.*)"|=(cr|lf))$/.exec(line)
    if (span === null) {
      if (/complete|begin/.test(line)) last = ''
      continue
    }
    const [, length, what, quoted, single] = span
    const bytes =
      single === undefined
        ? Buffer.from(
            (quoted as string).replace(/\\([tf])/g, (_, c) => (c === 't' ? '\t' : '\f')),
            'utf8',
          )
        : Buffer.from(single === 'cr' ? '\r' : '\n')
    if (bytes.length !== Number(length))
      throw new Error(`span of ${bytes.length} bytes where ${length} are named: ${line}`)
    const value = bytes.toString('latin1')
    const fields = message.isHeadComplete ? message.trailers : message.fields
    if (what === 'method') message.method += value
    else if (what === 'url') message.url += value
    else if (what === 'status') message.status += value
    else if (what === 'body') message.body += value
    else if (what === 'header_field') {
      if (last === 'header_field') (fields.at(-1) as [string, string])[0] += value
      else fields.push([value, ''])
    } else if (what === 'header_value') (fields.at(-1) as [string, string])[1] += value
    last = what as string
  }
  return messages
}
