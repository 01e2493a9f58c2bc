/** An issuer of tokens with keys of its own, and its JWKS behind a port of loopback. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CompactSign, exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { CryptoKey, JWK } from 'jose'

export class TokenIssuer {
  readonly name: string
  readonly jwk: JWK
  private readonly key: CryptoKey
  private readonly alg: string

  static async make(name: string, alg = 'ES256', kid = 'k1'): Promise<TokenIssuer> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    return new TokenIssuer(name, privateKey, { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }, alg)
  }

  private constructor(name: string, key: CryptoKey, jwk: JWK, alg: string) {
    this.name = name
    this.key = key
    this.jwk = jwk
    this.alg = alg
  }

  /** JSON text with the public key. */
  get jwks(): string {
    return JSON.stringify({ keys: [this.jwk] })
  }

  /** Good for an hour, unless `claims` say otherwise. */
  async token(claims: Record<string, unknown> = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const payload = { iss: this.name, sub: 'alice', iat: now, exp: now + 3600, ...claims }
    return new SignJWT(payload).setProtectedHeader({ alg: this.alg, kid: this.jwk.kid! }).sign(this.key)
  }

  /** A payload as it is written. */
  async signed(payload: string): Promise<string> {
    return new CompactSign(Buffer.from(payload))
      .setProtectedHeader({ alg: this.alg, kid: this.jwk.kid! })
      .sign(this.key)
  }
}

export interface SmallServer {
  readonly url: string
  readonly asked: string[]
  close(): Promise<void>
}

export async function smallServer(answer: RequestListener): Promise<SmallServer> {
  const asked: string[] = []
  const server: Server = createServer((request, response) => {
    asked.push(request.url ?? '')
    answer(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
