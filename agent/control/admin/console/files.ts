/**
 * The files of the console as a browser gets them: what stands in `console/`, and the few modules of packages that it
 * uses. Nothing is built when it is installed: a release holds JavaScript, and from a checkout types are stripped as
 * Node strips its own. No file holds data of the mesh, so everybody may have them.
 *
 * Names are looked up in a list, never in a path. Each file is read once and kept, 350 KiB in all.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import { gzipSync } from 'node:zlib'

const consolePath = '/console/'
const dataPath = '/console/data/'

/** Whether a file is asked for, which needs no leave. */
export function isConsoleFile(path: string): boolean {
  return path === '/console' || (path.startsWith(consolePath) && !path.startsWith(dataPath))
}

/** Which admin page is meant by what the console asks, `/events`; undefined = it is not the console that asks. */
export function consolePage(path: string): string | undefined {
  return path.startsWith(dataPath) ? path.slice(dataPath.length - 1) : undefined
}

interface ConsoleFile {
  readonly contentType: string
  readonly body: Buffer
  readonly gzipped: Buffer
  readonly etag: string
}

/** What a page of ours may do in a browser: load from where it came, and nothing else. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

const contentTypes: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  js: 'text/javascript; charset=utf-8',
  ts: 'text/javascript; charset=utf-8',
}

const consoleFolder = new URL('../../../../console/', import.meta.url)

/** By the name in the browser. A bare import in a module means nothing there, so it is spelled out. */
const vendored: Readonly<Record<string, () => string>> = {
  'vendor/preact.js': () => text(import.meta.resolve('preact')),
  'vendor/hooks.js': () => text(import.meta.resolve('preact/hooks')).replaceAll('from"preact"', 'from"./preact.js"'),
  'vendor/htm.js': () => text(import.meta.resolve('htm')),
  'vendor/uplot.js': () => text(import.meta.resolve('uplot/dist/uPlot.esm.js')),
  'vendor/uplot.css': () => text(import.meta.resolve('uplot/dist/uPlot.min.css')),
}

export class ConsoleFiles {
  private readonly folder: URL
  private names: ReadonlySet<string> | undefined
  private readonly kept = new Map<string, ConsoleFile>()

  /** Another `folder` is for tests. */
  constructor(folder = consoleFolder) {
    this.folder = folder
  }

  /**
   * Answers a request for a file of the console; `path` as the browser sent it. An upgrade may have taken the files
   * away under a process that still runs: 503, for whoever asks must not end it.
   */
  serve(path: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { headers, method } = incoming
    if (method !== 'GET' && method !== 'HEAD') return refuse(outgoing, 405, `${method}: the console is read with GET`)
    if (path === '/console') {
      outgoing.writeHead(308, { location: 'console/', 'content-length': 0 })
      outgoing.end()
      return
    }
    let file: ConsoleFile | undefined
    try {
      file = this.file(path.slice(consolePath.length) || 'index.html')
    } catch {
      return refuse(
        outgoing,
        503,
        'the files of the console cannot be read: they were replaced since this node started',
      )
    }
    if (file === undefined) return refuse(outgoing, 404, 'the console has no such file')
    const isSame = headers['if-none-match'] === file.etag
    const isPacked = /\bgzip\b/.test(String(headers['accept-encoding'] ?? ''))
    const body = isPacked ? file.gzipped : file.body
    outgoing.writeHead(isSame ? 304 : 200, {
      'content-type': file.contentType,
      ...(isSame ? {} : { 'content-length': body.length }),
      ...(isPacked && !isSame ? { 'content-encoding': 'gzip' } : {}),
      vary: 'accept-encoding',
      etag: file.etag,
      'cache-control': 'no-cache',
      'content-security-policy': policy,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
    outgoing.end(isSame || method === 'HEAD' ? undefined : body)
  }

  private file(name: string): ConsoleFile | undefined {
    const known = this.kept.get(name)
    if (known !== undefined) return known
    const content = this.content(name)
    if (content === undefined) return undefined
    const body = Buffer.from(content)
    const file = {
      contentType: contentTypes[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
      body,
      gzipped: gzipSync(body),
      etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`,
    }
    this.kept.set(name, file)
    return file
  }

  private content(name: string): string | undefined {
    if (Object.hasOwn(vendored, name)) return vendored[name]!()
    const { folder } = this
    this.names ??= new Set(readdirSync(folder).filter((one) => /\.(?:html|css|svg|js|ts)$/.test(one)))
    if (this.names.has(name))
      return name.endsWith('.ts') ? stripped(new URL(name, folder)) : text(new URL(name, folder))
    const source = name.replace(/\.js$/, '.ts')
    return source !== name && this.names.has(source) ? stripped(new URL(source, folder)) : undefined
  }
}

function stripped(url: URL): string {
  return stripTypeScriptTypes(text(url))
}

function text(url: URL | string): string {
  return readFileSync(new URL(url), 'utf8')
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  const body = `${message}\n`
  outgoing.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
  })
  outgoing.end(body)
}
