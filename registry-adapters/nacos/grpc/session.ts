/**
 * Keeps one connection alive to one of the servers, for as long as it is wanted: chooses servers at random, notices
 * silence, follows resets inside the configured servers, and comes back after a loss with jitter, so that the agents of
 * a whole site do not arrive at once. Never gives up.
 */
import { every, type Clock } from '../../../contracts/clock.ts'
import { describeError, MeshError } from '../../../contracts/errors.ts'
import type { AdapterLog, AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import type { Auth, AuthSubject } from '../auth/auth.ts'
import type { NacosTimes, NacosTls } from '../config.ts'
import { excerpt } from '../server-list/http-client.ts'
import type { NacosMember, ServerList } from '../server-list/server-list.ts'
import { grpcErrorCodes, resultCodes } from '../wire/codes.ts'
import { clientRequests } from '../wire/messages.ts'
import { NacosConnection } from './connection.ts'
import type { GrpcAnswer } from './connection.ts'

export interface SessionEvents {
  /** A connection is ready; whatever was asked of an earlier one is forgotten by the servers. */
  onReady(connection: NacosConnection): void
  /** The connection is lost. Called once per loss. */
  onLost(problem: MeshError): void
  /** A server asked us to move; the connection that is there serves until another is ready. */
  onReset(): void
  /** Every server was tried and none took us; called once per round. */
  onRoundFailed(problem: MeshError): void
  onPush(type: string, body: Readonly<Record<string, unknown>>): void
}

export interface SessionOptions {
  readonly registry: string
  readonly module: 'naming' | 'config'
  readonly tenant: string
  readonly clientIp: string
  readonly grpcPortOffset: number
  readonly tls: NacosTls | undefined
  readonly times: NacosTimes
}

export interface SessionDeps {
  readonly servers: ServerList
  readonly auth: Auth
  readonly clock: Clock
  readonly random: () => number
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
}

/** While no server can be reached, that is said this often. */
const sayAgainMs = 300_000
/** Health checks in a row that must fail before a silent server is left. */
const healthCheckTries = 2

export class GrpcSession {
  private readonly options: SessionOptions
  private readonly deps: SessionDeps
  private readonly events: SessionEvents
  private readonly abort = new AbortController()
  private current: NacosConnection | undefined
  private attempt: AbortController | undefined
  private lastServer: string | undefined
  private failures = 0
  /** When the last connection was lost, monotonic ms; undefined = there was none yet, or it stands. */
  private lostAt: number | undefined
  private lastProblem: MeshError | undefined
  private timer: (() => void) | undefined
  private healthTimer: (() => void) | undefined
  private isStarted = false
  private sayUnreachableAt = 0

  constructor(options: SessionOptions, deps: SessionDeps, events: SessionEvents) {
    this.options = options
    this.deps = deps
    this.events = events
    deps.servers.onChange(() => this.serversChanged())
  }

  get connection(): NacosConnection | undefined {
    return this.current
  }

  /** Why there is no connection at the moment. */
  get problem(): MeshError | undefined {
    return this.lastProblem
  }

  /** Rounds over all servers that failed since the last connection. */
  get failedRounds(): number {
    return this.failures
  }

  start(): void {
    if (this.isStarted) return
    this.isStarted = true
    this.gauge(0)
    this.schedule(0)
  }

  close(): void {
    this.abort.abort()
    this.attempt?.abort()
    this.timer?.()
    this.healthTimer?.()
    this.current?.close()
    this.current = undefined
  }

  /**
   * One request on the present connection, with credentials; after a refusal once more with new ones. Answers with
   * `resultCode` 200 only, unless `allow` accepts another. Rejects with a MeshError, at once while there is no
   * connection.
   */
  async request(
    type: string,
    body: object,
    subject: AuthSubject,
    allow: (answer: GrpcAnswer) => boolean = () => false,
  ): Promise<GrpcAnswer> {
    for (let isSecond = false; ; isSecond = true) {
      const connection = this.current
      if (connection === undefined)
        throw (
          this.lastProblem ??
          new MeshError('E_REGISTRY_UNREACHABLE', `registry ${this.options.registry}: not connected yet`)
        )
      const headers = await this.deps.auth.forGrpc(subject)
      const answer = await connection.request(type, body, headers)
      if (answer.body['resultCode'] === resultCodes.success || allow(answer)) return answer
      const code = answer.body['errorCode']
      const words = `nacos at ${connection.server.id}: ${type} was refused with ${String(code)} ${excerpt(answer.body['message'])}`
      if (
        code === grpcErrorCodes.unregistered ||
        (code === grpcErrorCodes.invalidServerStatus && answer.type === 'ErrorResponse')
      ) {
        const problem = new MeshError('E_REGISTRY_UNREACHABLE', words)
        this.leave(connection, problem, 'unregistered')
        throw problem
      }
      if (code === grpcErrorCodes.denied) {
        if (!isSecond && this.deps.auth.renew()) continue
        throw new MeshError('E_REGISTRY_DENIED', `${words}; check user and permissions`)
      }
      throw new MeshError('E_REGISTRY_PROTOCOL', words)
    }
  }

  private schedule(delayMs: number): void {
    if (this.abort.signal.aborted) return
    this.timer?.()
    this.timer = this.deps.clock.after(delayMs, () => void this.round(undefined))
  }

  /** Tries the servers one after the other, `wanted` first. */
  private async round(wanted: NacosMember | undefined): Promise<void> {
    if (this.abort.signal.aborted || this.attempt !== undefined) return
    const attempt = new AbortController()
    this.attempt = attempt
    const before = this.current
    try {
      if (this.failures > 0) await this.deps.servers.refresh()
      const others = this.deps.servers.inRandomOrder(this.lastServer).filter(({ id }) => id !== wanted?.id)
      let last: MeshError = new MeshError(
        'E_REGISTRY_UNREACHABLE',
        `registry ${this.options.registry}: no server address is known`,
      )
      for (const server of wanted === undefined ? others : [wanted, ...others]) {
        if (attempt.signal.aborted) return
        if (server.id === before?.server.id) continue
        try {
          const connection = await this.open(server, attempt.signal)
          if (attempt.signal.aborted) {
            connection.close()
            return
          }
          this.adopt(connection, before)
          return
        } catch (error) {
          last = error as MeshError
          this.deps.log.debug(
            { registry: this.options.registry, server: server.id, code: last.code },
            describeError(last),
          )
        }
      }
      // a move that found no other server leaves us where we are
      if (this.current !== undefined) return
      this.lastProblem = last
      this.failures++
      this.deps.metrics.count('registry_connect_failures', {
        registry: this.options.registry,
        connection: this.options.module,
      })
      this.sayUnreachable(last)
      this.events.onRoundFailed(last)
    } finally {
      this.attempt = undefined
      if (this.current === undefined) this.schedule(this.backoff())
    }
  }

  /** Once when it begins and then now and then, so that a log that is read at night says what is the matter now. */
  private sayUnreachable(problem: MeshError): void {
    if (this.deps.clock.monotonic() < this.sayUnreachableAt) return
    this.sayUnreachableAt = this.deps.clock.monotonic() + sayAgainMs
    this.deps.log.warn(
      {
        registry: this.options.registry,
        connection: this.options.module,
        code: problem.code,
        failedRounds: this.failures,
      },
      `none of the ${this.deps.servers.servers.length} Nacos servers can be reached for ${this.options.module}; what is known stays in use, and they are tried again: ${problem.message}`,
    )
  }

  private open(server: NacosMember, signal: AbortSignal): Promise<NacosConnection> {
    const { options, times } = { options: this.options, times: this.options.times }
    let self: NacosConnection | undefined
    return NacosConnection.open(
      {
        server,
        grpcPort: server.port + options.grpcPortOffset,
        tls: options.tls,
        labels: { source: 'sdk', module: options.module, AppName: 'hostmesh' },
        tenant: options.tenant,
        clientIp: options.clientIp,
        connectTimeoutMs: times.connectTimeoutMs,
        requestTimeoutMs: times.requestTimeoutMs,
        clock: this.deps.clock,
      },
      {
        onPush: (type, body) => this.events.onPush(type, body),
        onReset: (hint) => this.moveAway(hint),
        onEnd: (problem) => {
          if (self !== undefined) this.leave(self, problem, 'ended')
        },
        onGarbage: (problem) => {
          this.deps.metrics.count('registry_push_refused', { registry: options.registry, reason: 'malformed' })
          this.deps.log.debug({ registry: options.registry, code: problem.code }, problem.message)
        },
      },
      signal,
    ).then((connection) => {
      self = connection
      return connection
    })
  }

  private adopt(connection: NacosConnection, before: NacosConnection | undefined): void {
    if (connection.isOver)
      throw new MeshError('E_REGISTRY_UNREACHABLE', `nacos at ${connection.server.id}: ended right after set-up`)
    before?.close()
    this.current = connection
    this.lastServer = connection.server.id
    this.lastProblem = undefined
    this.gauge(1)
    this.deps.metrics.count('registry_connects', {
      registry: this.options.registry,
      connection: this.options.module,
    })
    this.deps.log.info(
      {
        registry: this.options.registry,
        server: connection.server.id,
        connection: this.options.module,
        failedRounds: this.failures,
      },
      this.lostAt === undefined
        ? `connected to Nacos for ${this.options.module}`
        : `connected to Nacos for ${this.options.module} again, after ${Math.round((this.deps.clock.monotonic() - this.lostAt) / 1000)} s without`,
    )
    this.lostAt = undefined
    this.sayUnreachableAt = 0
    this.healthTimer?.()
    this.healthTimer = every(this.deps.clock, this.options.times.healthCheckMs, () => void this.checkHealth(connection))
    this.events.onReady(connection)
    this.failures = 0
  }

  private async checkHealth(connection: NacosConnection): Promise<void> {
    if (
      connection.isOver ||
      this.deps.clock.monotonic() - connection.lastHeardAt < this.options.times.healthCheckMs * 0.9
    )
      return
    this.healthTimer?.()
    let problem: MeshError | undefined
    for (let tries = 0; tries < healthCheckTries && !connection.isOver; tries++) {
      try {
        const answer = await connection.request(clientRequests.healthCheck, {}, {})
        if (answer.body['resultCode'] === resultCodes.success) {
          if (this.current === connection)
            this.healthTimer = every(
              this.deps.clock,
              this.options.times.healthCheckMs,
              () => void this.checkHealth(connection),
            )
          return
        }
        problem = new MeshError(
          'E_REGISTRY_UNREACHABLE',
          `nacos at ${connection.server.id}: does not know this connection any more`,
        )
        break
      } catch (error) {
        problem = error as MeshError
      }
    }
    if (problem !== undefined) this.leave(connection, problem, 'silent')
  }

  /** The server asked us to go. The old connection serves until a new one is ready. */
  private moveAway(hint: string | undefined): void {
    this.deps.metrics.count('registry_resets', { registry: this.options.registry, connection: this.options.module })
    this.events.onReset()
    const wanted = this.deps.servers.servers.find(({ id }) => id === hint)
    this.deps.log.info(
      { registry: this.options.registry, server: this.current?.server.id, hint },
      wanted === undefined && hint !== undefined
        ? 'Nacos asked us to move to a server that is not in the configuration; choosing another one'
        : 'Nacos asked us to move to another server',
    )
    if (this.deps.servers.servers.length > 1) void this.round(wanted)
  }

  private leave(connection: NacosConnection, problem: MeshError, reason: string): void {
    if (this.current !== connection) return
    connection.close()
    this.healthTimer?.()
    this.current = undefined
    this.lostAt = this.deps.clock.monotonic()
    this.lastProblem = problem
    this.gauge(0)
    this.deps.metrics.count('registry_losses', {
      registry: this.options.registry,
      connection: this.options.module,
      reason,
    })
    this.deps.log.warn(
      {
        registry: this.options.registry,
        server: connection.server.id,
        connection: this.options.module,
        code: problem.code,
      },
      `lost Nacos for ${this.options.module}: ${problem.message}; what is known stays in use`,
    )
    this.events.onLost(problem)
    const spread = Math.min(1000, this.options.times.reconnectSpreadMs)
    if (this.attempt === undefined) this.schedule(this.deps.random() * spread)
  }

  private serversChanged(): void {
    if (!this.isStarted || this.abort.signal.aborted) return
    const connection = this.current
    if (connection === undefined) {
      if (this.attempt === undefined) this.schedule(0)
    } else if (!this.deps.servers.has(connection.server.id)) {
      this.deps.log.info(
        { registry: this.options.registry, server: connection.server.id },
        'this Nacos server is not in the list any more; moving',
      )
      void this.round(undefined)
    }
  }

  /**
   * Full jitter that soon covers the whole spread: a restarted server sees a site's agents come over that time, not at
   * once.
   */
  private backoff(): number {
    const { reconnectMinMs, reconnectMaxMs } = this.options.times
    const ceiling = Math.min(reconnectMaxMs, reconnectMinMs * 3 ** Math.max(0, this.failures - 1))
    return Math.max(reconnectMinMs / 5, this.deps.random() * ceiling)
  }

  private gauge(value: 0 | 1): void {
    this.deps.metrics.gauge(
      'registry_connected',
      { registry: this.options.registry, connection: this.options.module },
      value,
    )
  }
}
