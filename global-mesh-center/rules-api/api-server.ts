/**
 * The port of the rules API: connections, times and who asks. No traffic passes here, so node:http is good enough.
 *
 * Bounds: 4,096 connections and 64 per caller (the longest idle one leaves), 5 s for a head, 30 s for a request.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { LogPause } from '../../contracts/log-pause.ts'
import { MeshError } from '../../contracts/errors.ts'
import { quotaKey } from '../../contracts/quota-key.ts'
import { ConsoleFiles, isConsoleFile } from '../../agent/control/admin/console/files.ts'
import { formatHostPort, type HostPort } from '../../agent/control/config/scalars.ts'
import { listening } from '../../agent/control/listening.ts'
import { ConnectionBudget } from '../../guard/connection-budget.ts'
import { RequestTurns } from '../../guard/request-turns.ts'
import { isOwnPage, webPageRefusal } from '../../guard/web-page.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import type { ApiUser } from '../../agent/control/rules-api/api-user.ts'
import type { ServerTls } from '../port-access.ts'
import { certifiedName } from './client-certificate.ts'
import { answerUpgrade, type ApiUpgrades } from './api-upgrades.ts'
import type { Tokens } from './tokens.ts'
import type { ApiAnswers, ApiAnswersDeps } from '../../agent/control/rules-api/api-answers.ts'

// Not `import`: that reads every export of the module, WebSocket among them, which loads Node's fetch.
const http = process.getBuiltinModule('node:http')
const https = process.getBuiltinModule('node:https')

export interface ApiServerOptions {
  readonly address: HostPort
  /** PEM; undefined = plain. */
  readonly tls: ServerTls | undefined
  readonly tokens: Tokens | undefined
  /** Who a caller without a token is; undefined = nobody. */
  readonly withoutToken: ApiUser | undefined
}

export interface ApiServerDeps extends Pick<ApiAnswersDeps, 'clock' | 'log' | 'metrics'> {
  /** Of every listener of the API. */
  readonly answers: ApiAnswers
}

const maxConnections = 4096
const maxConnectionsPerCaller = 64
const headTimeoutMs = 5000
const requestTimeoutMs = 30_000
/** Between two log lines about callers that were not let in, ms: nobody needs a token to cause one. */
const deniedLogMs = 1000

export class ApiServer {
  private readonly options: ApiServerOptions
  private readonly deps: ApiServerDeps
  private readonly consoleFiles = new ConsoleFiles()
  private server: Server | undefined
  private upgrades: ApiUpgrades | undefined
  private readonly denials = new LogPause(deniedLogMs)

  constructor(options: ApiServerOptions, deps: ApiServerDeps) {
    this.options = options
    this.deps = deps
  }

  /** Resolves with the port. Rejects with E_LISTEN_IN_USE, E_LISTEN_DENIED or E_CONFIG_INVALID (certificate). */
  async listen(): Promise<number> {
    const { address } = this.options
    const server = this.make()
    await listening(server, `rulesApi ${formatHostPort(address)}`, { host: address.host, port: address.port })
    this.server = server
    const bound = server.address()
    return typeof bound === 'object' && bound !== null ? bound.port : address.port
  }

  /** To be called before `listen`. */
  upgrade(upgrades: ApiUpgrades): void {
    this.upgrades = upgrades
  }

  async close(): Promise<void> {
    const { server } = this
    this.server = undefined
    if (server === undefined) return
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }

  private make(): Server {
    const options = {
      requestTimeout: requestTimeoutMs,
      headersTimeout: headTimeoutMs,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16_384,
      keepAliveTimeout: 30_000,
      shouldUpgradeCallback: ({ headers }: IncomingMessage) => this.upgrades?.wants(headers.upgrade) === true,
    }
    const budget = new ConnectionBudget<Socket>({
      most: maxConnections,
      mostPerCaller: maxConnectionsPerCaller,
      onBound: (bound) => this.deps.metrics.count('rules_api_connections_refused', { bound }),
    })
    const turns = new RequestTurns({
      budget,
      onPipelined: () => this.deps.metrics.count('rules_api_connections_refused', { bound: 'pipelined' }),
    })
    const answer = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
      turns.take(incoming.socket, outgoing, () => void this.serve(incoming, outgoing))
    }
    const { tls } = this.options
    let server: Server
    try {
      server =
        tls === undefined
          ? http.createServer(options, answer)
          : https.createServer({ ...options, ...secured(tls) }, answer)
    } catch (cause) {
      throw new MeshError(
        'E_CONFIG_INVALID',
        `rulesApi.tls: cert, key or clientCa cannot be used: ${(cause as Error).message}`,
      )
    }
    server.prependListener(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      if (budget.enter(socket, quotaKey(socket.remoteAddress ?? ''))) socket.once('close', () => budget.leave(socket))
      else socket.destroy()
    })
    server.on('upgrade', (incoming, socket) => {
      // whoever takes it has bounds of its own
      budget.leave(incoming.socket)
      if (this.upgrades === undefined) socket.destroy()
      else void answerUpgrade(this.upgrades, incoming, socket, () => this.userOf(incoming))
    })
    server.on('clientError', (_error, socket) => socket.destroy())
    server.unref()
    return server
  }

  private async serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const path = URL.parse(incoming.url ?? '/', 'http://api')?.pathname ?? ''
    if (/^\/(healthz|livez|readyz)$/.test(path)) return sendText(outgoing, 200, 'ok')
    if (isConsoleFile(path)) return this.consoleFiles.serve(path, incoming, outgoing)
    const from = incoming.socket.remoteAddress ?? ''
    await this.deps.answers.answer(incoming, outgoing, () => this.userOf(incoming), from)
  }

  private userOf({ headers, socket }: IncomingMessage): ApiUser {
    const { tokens, withoutToken } = this.options
    const { authorization } = headers
    const certified = authorization === undefined ? this.certified(socket) : undefined
    if (certified !== undefined) {
      // a browser shows the certificate of its user for any page
      const refusal = isOwnPage(headers) ? undefined : webPageRefusal(headers, 'any')
      if (refusal !== undefined) throw new ApiError(403, refusal)
      return certified
    }
    if (authorization === undefined && withoutToken !== undefined) {
      // a page in a browser on this machine is no operator, unless it is our console
      const refusal = isOwnPage(headers) ? undefined : webPageRefusal(headers, new Set())
      if (refusal !== undefined) throw new ApiError(403, refusal)
      return withoutToken
    }
    const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]
    const user = token === undefined ? undefined : tokens?.userOf(token)
    if (user !== undefined) return user
    this.deps.metrics.count('rules_api_denied', {})
    const problem = tokens?.problem()
    if (problem !== undefined) throw new ApiError(503, `nobody can be let in: the file of tokens: ${problem}`)
    this.noteDenied(socket.remoteAddress, token === undefined ? 'no token' : 'unknown token')
    throw new ApiError(401, token === undefined ? this.needed(socket) : 'this token is not known')
  }

  private certified(socket: Socket): ApiUser | undefined {
    const name = certifiedName(socket, this.deps.clock.wall())
    return name === undefined ? undefined : this.options.tokens?.userOfCertificate(name)
  }

  private needed(socket: Socket): string {
    const name = certifiedName(socket, this.deps.clock.wall())
    if (name !== undefined) return `${JSON.stringify(name)} is no certificate of the file of tokens`
    return this.options.tls?.clientCa === undefined
      ? 'a bearer token is needed'
      : 'a bearer token is needed, or a certificate of clientCa that is valid'
  }

  private noteDenied(from: string | undefined, why: string): void {
    const { clock, log } = this.deps
    if (this.denials.allows(clock.monotonic())) log.warn({ from }, `rules API: ${why}`)
  }
}

function secured({ cert, key, clientCa }: ServerTls): TlsOptions {
  const own = { cert, key, minVersion: 'TLSv1.2' } as const
  // whoever has a token needs none
  return clientCa === undefined ? own : { ...own, ca: clientCa, requestCert: true, rejectUnauthorized: false }
}

function sendText(outgoing: ServerResponse, status: number, text: string): void {
  outgoing.writeHead(status, { 'content-type': 'text/plain', 'content-length': text.length })
  outgoing.end(text)
}
