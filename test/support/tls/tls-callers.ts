/** Callers with a certificate that do not forgive: they never connect again, and remember every failure. */
import { once } from 'node:events'
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'

import type { Authority, Issued } from './authority.ts'

export interface TlsTarget {
  readonly host: string
  readonly port: number
  readonly authority: Authority
  readonly leaf: Issued
  /** ALPN. */
  readonly protocol: string
}

async function open({ authority, host, leaf, port, protocol }: TlsTarget): Promise<TLSSocket> {
  const socket = connect({
    host,
    port,
    cert: leaf.certificate,
    key: leaf.key,
    ca: authority.certificate,
    checkServerIdentity: () => undefined,
    ALPNProtocols: [protocol],
  })
  await once(socket, 'secureConnect')
  return socket
}

/** Sends one request after the other over one connection each. */
export class TlsLoad {
  answered = 0
  readonly failures: string[] = []
  private readonly running: Promise<unknown>
  private readonly sockets: TLSSocket[]
  private isOver = false

  static async http(target: TlsTarget, callers: number): Promise<TlsLoad> {
    return new TlsLoad(await openAll(target, callers), 'GET / HTTP/1.1\r\nhost: orders\r\n\r\n', (text) =>
      text.includes('\r\n\r\n') && text.length >= headEnd(text) + contentLength(text)
        ? text.startsWith('HTTP/1.1 200')
        : null,
    )
  }

  /** Lines, each sent back behind a version. */
  static async lines(target: TlsTarget, callers: number): Promise<TlsLoad> {
    return new TlsLoad(await openAll(target, callers), 'hello\n', (text) =>
      text.endsWith('\n') ? text.endsWith(' hello\n') : null,
    )
  }

  private constructor(sockets: TLSSocket[], request: string, read: (text: string) => boolean | null) {
    this.sockets = sockets
    this.running = Promise.all(sockets.map((socket, index) => this.call(socket, index, request, read)))
  }

  async stop(): Promise<this> {
    this.isOver = true
    await this.running
    for (const socket of this.sockets) socket.destroy()
    return this
  }

  private async call(
    socket: TLSSocket,
    index: number,
    request: string,
    read: (text: string) => boolean | null,
  ): Promise<void> {
    let text = ''
    let wake = (): void => {}
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
      wake()
    })
    socket.on('error', (error) => this.fail(index, error.message, wake))
    socket.on('close', () => this.fail(index, 'closed', wake))
    while (!this.isOver && !socket.destroyed) {
      text = ''
      socket.write(request)
      let verdict = read(text)
      while (verdict === null && !socket.destroyed) {
        await new Promise<void>((resolve) => (wake = resolve))
        verdict = read(text)
      }
      if (verdict === true) this.answered++
      else if (verdict === false) this.failures.push(`${index}: ${text.slice(0, 200)}`)
    }
  }

  private fail(index: number, why: string, wake: () => void): void {
    if (!this.isOver) this.failures.push(`${index}: ${why}`)
    wake()
  }
}

/** What the other side shows, PEM. */
export async function certificateOf(target: TlsTarget): Promise<string> {
  const socket = await open(target)
  const text = socket.getPeerX509Certificate()!.toString()
  socket.destroy()
  return text
}

function openAll(target: TlsTarget, callers: number): Promise<TLSSocket[]> {
  return Promise.all(Array.from({ length: callers }, () => open(target)))
}

function headEnd(text: string): number {
  return text.indexOf('\r\n\r\n') + 4
}

function contentLength(text: string): number {
  return Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
}
