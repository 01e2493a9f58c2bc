/** Connections at the port of the API that become something else: one request, then another protocol's bytes. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import type { ApiUser } from '../../agent/control/rules-api/api-user.ts'

export interface ApiUpgrade {
  /** Decoded, without query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly user: ApiUser
  readonly from: string
}

export interface ApiUpgrades {
  /** Whether this value of the field `upgrade` is meant for it; anything else is an ordinary request. */
  wants(upgrade: string | undefined): boolean
  /** Rejects with ApiError for every refusal; else the answer gets the connection, behind a 101. */
  take(upgrade: ApiUpgrade): Promise<(socket: Duplex) => void>
}

/** Rejects never. */
export async function answerUpgrade(
  upgrades: ApiUpgrades,
  incoming: IncomingMessage,
  socket: Duplex,
  userOf: () => ApiUser,
): Promise<void> {
  socket.on('error', () => socket.destroy())
  const { headers } = incoming
  try {
    const path = decodedPath(incoming.url)
    const from = incoming.socket.remoteAddress ?? ''
    const begin = await upgrades.take({ path, headers, user: userOf(), from })
    if (socket.destroyed) return
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${headers.upgrade ?? ''}\r\n\r\n`)
    begin(socket)
  } catch (error) {
    const refusal = error instanceof ApiError ? error : new ApiError(500, 'internal error')
    const body = JSON.stringify(refusal.body())
    const fields = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`
    socket.end(`HTTP/1.1 ${refusal.status} Refused\r\n${fields}\r\n\r\n${body}`, () => socket.destroy())
  }
}

function decodedPath(url: string | undefined): string {
  try {
    return decodeURIComponent(URL.parse(url ?? '/', 'http://api')?.pathname ?? '')
  } catch {
    throw new ApiError(400, 'the path is not encoded as it should be')
  }
}
