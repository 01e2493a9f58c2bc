/** Whom a relay may meet: a center that reads the PROXY header, and plain providers. Both remember what they got. */
import { once } from 'node:events'
import net from 'node:net'
import { parseProxyHeader, tlvText } from '../../../contracts/proxy-protocol.ts'
import { freePort } from '../free-port.ts'
import { acknowledgement, proxyTlv } from '../../../contracts/words.ts'

export interface FarSide {
  readonly port: number
  /** Service, host and listener of each connection that came with a PROXY header. */
  readonly introductions: {
    service: string | undefined
    host: string | undefined
    listener: string | undefined
    source: string | undefined
  }[]
  /** Heads of HTTP requests, without those that only asked for a sign of life. */
  readonly heads: string[]
  /** Goes on accepting, and answers nothing; `false` = answers again, new connections at least. */
  fallSilent(isSilent: boolean): void
  close(): Promise<void>
}

/**
 * Answers HTTP with its name, `/slow/MS` later, `/big/BYTES` with that many bytes; goes over to an echo after an
 * upgrade, and echoes everything that does not look like HTTP.
 */
export async function startFarSide(name: string, wantsProxyHeader: boolean, port?: number): Promise<FarSide> {
  const introductions: FarSide['introductions'] = []
  const heads: string[] = []
  const sockets = new Set<net.Socket>()
  let isSilent = false
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    let bytes: Buffer = Buffer.alloc(0)
    let isIntroduced = !wantsProxyHeader
    let isEcho = false
    let isForLife = false
    socket.on('data', (chunk: Buffer) => {
      if (isSilent) return
      bytes = Buffer.concat([bytes, chunk])
      if (!isIntroduced) {
        const parsed = parseProxyHeader(bytes)
        if (parsed.kind === 'more') return
        if (parsed.kind === 'bad') {
          socket.destroy()
          return
        }
        isIntroduced = true
        const { header } = parsed
        isForLife = header.command === 'local'
        if (header.tlvs.some(({ type }) => type === proxyTlv.acknowledge)) socket.write(Buffer.of(acknowledgement))
        if (!isForLife) {
          introductions.push({
            service: tlvText(header, proxyTlv.service),
            host: tlvText(header, proxyTlv.host),
            listener: tlvText(header, proxyTlv.listener),
            source: header.source?.address,
          })
        }
        bytes = bytes.subarray(parsed.length)
      }
      if (bytes.length === 0) return
      if (isEcho || !/^[A-Z]+ \//.test(bytes.toString('latin1', 0, 16))) {
        isEcho = true
        socket.write(bytes)
        bytes = Buffer.alloc(0)
        return
      }
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = bytes.toString('latin1', 0, end)
      if (!isForLife) heads.push(head)
      bytes = bytes.subarray(end + 4)
      if (/^upgrade: /im.test(head)) {
        isEcho = true
        socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n')
        if (bytes.length > 0) socket.write(bytes)
        bytes = Buffer.alloc(0)
        return
      }
      const waitMs = Number(/^\S+ \/slow\/([0-9]+)/.exec(head)?.[1] ?? 0)
      const bigBytes = Number(/^\S+ \/big\/([0-9]+)/.exec(head)?.[1] ?? 0)
      const body = bigBytes > 0 ? 'b'.repeat(bigBytes) : name
      const mustClose = /^connection: close/im.test(head)
      const answer = (): void => {
        const fields = `content-length: ${body.length}\r\nconnection: ${mustClose ? 'close' : 'keep-alive'}`
        socket.write(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\n${body}`)
        if (mustClose) socket.end()
      }
      if (waitMs > 0) setTimeout(answer, waitMs)
      else answer()
    })
    socket.on('end', () => socket.end())
  })
  // a thousand may come at once, while the machine is busy with something else
  server.listen({ port: port ?? (await freePort()), host: '127.0.0.1', backlog: 4096 })
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    introductions,
    heads,
    fallSilent: (silent) => void (isSilent = silent),
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}
