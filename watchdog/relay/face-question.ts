/**
 * Asks a center to take one connection of a Nacos client of this host (`contracts/host-face.ts`): the next center where
 * one cannot be reached, does not answer in time, or refuses.
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { facePath, faceUserField, faceWord, type FaceKind, type FaceRelay } from '../../contracts/host-face.ts'
import { readAddress } from './relay-addresses.ts'
import { Wire, nobody } from './wire.ts'

const connectTimeoutMs = 1000
/** A center opens its face for this host with the first question. */
const answerTimeoutMs = 8000
const maxHeadBytes = 8192
const headEnd = Buffer.from('\r\n\r\n')

export interface FaceQuestion {
  readonly face: FaceRelay
  readonly host: string
  readonly kind: FaceKind
  /** User id of the client; undefined = not known. */
  readonly user: number | undefined
  readonly maxBufferBytes: number
}

/** `wire` is paused; `early`: what came behind the answer. */
export type FaceAnswer = { readonly wire: Wire; readonly early: Buffer } | { readonly problem: string }

/** `done` is called once, unless `cancel` was before. */
export function askCenters(question: FaceQuestion, done: (answer: FaceAnswer) => void): { cancel(): void } {
  const problems: string[] = []
  let current: { cancel(): void } = { cancel: () => undefined }
  const next = (position: number): void => {
    const server = question.face.servers[position]
    if (server === undefined) {
      done({ problem: problems.join('; ') || 'no center is named' })
      return
    }
    current = ask(server, question, (answer) => {
      if ('wire' in answer) {
        done(answer)
        return
      }
      problems.push(`${server}: ${answer.problem}`)
      next(position + 1)
    })
  }
  next(0)
  return { cancel: () => current.cancel() }
}

function ask(server: string, question: FaceQuestion, done: (answer: FaceAnswer) => void): { cancel(): void } {
  const target = readAddress(server)
  if (target === undefined) return failed('no address', done)
  let request: Buffer
  let tls: ConnectionOptions | undefined
  try {
    request = requestOf(server, question)
    tls = tlsOf(question.face, target.address)
  } catch (error) {
    return failed((error as Error).message, done)
  }
  let timer: NodeJS.Timeout | undefined
  let current: { cancel(): void } = Wire.dial(
    target,
    { maxBytes: question.maxBufferBytes, timeoutMs: connectTimeoutMs, tls },
    (wire) => {
      const end = (answer: FaceAnswer): void => {
        clearTimeout(timer)
        if ('wire' in answer) wire.pause()
        else wire.close()
        done(answer)
      }
      timer = setTimeout(() => end({ problem: `no answer in ${answerTimeoutMs} ms` }), answerTimeoutMs)
      let head = Buffer.alloc(0)
      const lost = (): void => end({ problem: 'closed without an answer' })
      wire.owner = {
        ...nobody,
        onEnd: lost,
        onClosed: lost,
        onBytes: (bytes) => {
          head = Buffer.concat([head, bytes])
          const at = head.indexOf(headEnd)
          if (at < 0 && head.length <= maxHeadBytes) return
          wire.owner = nobody
          const [line = ''] = head.toString('latin1', 0, 200).split('\r\n')
          if (at >= 0 && line.startsWith('HTTP/1.1 101 ')) end({ wire, early: head.subarray(at + headEnd.length) })
          else end({ problem: refusalIn(head, line) })
        },
      }
      current = {
        cancel: () => {
          clearTimeout(timer)
          wire.close()
        },
      }
      wire.write(request)
      wire.resume()
    },
    (why) => done({ problem: why === '' ? 'cannot be reached' : why }),
  )
  return { cancel: () => current.cancel() }
}

/** Never at once: whoever asks has no answer to `askCenters` yet. */
function failed(problem: string, done: (answer: FaceAnswer) => void): { cancel(): void } {
  const timer = setImmediate(() => done({ problem }))
  return { cancel: () => clearImmediate(timer) }
}

function requestOf(server: string, { face, host, kind, user }: FaceQuestion): Buffer {
  const token = face.tokenFile === undefined ? undefined : readFileSync(face.tokenFile, 'latin1').trim()
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw new Error(`${face.tokenFile!}: holds no token`)
  const lines = [
    `GET ${facePath(host)} HTTP/1.1`,
    `host: ${server}`,
    'connection: upgrade',
    `upgrade: ${faceWord(kind)}`,
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    ...(user === undefined ? [] : [`${faceUserField}: ${user}`]),
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

/** Read with each connection, as control does: files may change. */
function tlsOf({ tls }: FaceRelay, host: string): ConnectionOptions | undefined {
  if (tls === undefined) return undefined
  const [ca, cert, key] = [tls.ca, tls.cert, tls.key].map((file) =>
    file === undefined ? undefined : readFileSync(file, 'utf8'),
  )
  return {
    host,
    ...(isIP(host) > 0 ? {} : { servername: host }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}

/** The message of a Status, if it came with the head. */
function refusalIn(head: Buffer, line: string): string {
  const message = /"message":"([^"\\]{1,300})"/.exec(head.toString('utf8'))?.[1]
  const text = `${line.replace(/^HTTP\/1\.1 /, '')}${message === undefined ? '' : `: ${message}`}`
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 400)
}
