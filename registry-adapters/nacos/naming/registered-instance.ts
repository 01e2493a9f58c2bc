/**
 * One local application at the registry: registered, kept alive by heartbeats, registered again whenever the registry
 * forgot it.
 */
import type { Clock } from '../../../contracts/clock.ts'
import { describeError, MeshError } from '../../../contracts/errors.ts'
import type { AdapterLog, AdapterMetrics, Registration } from '../../../contracts/registry-adapter.ts'
import type { NacosTimes } from '../config.ts'
import type { NacosMember, ServerList } from '../server-list/server-list.ts'
import { endpointId } from '../../../contracts/endpoint.ts'
import type { Trouble } from '../server-list/trouble.ts'
import type { Refusals } from '../refusals.ts'
import type { HttpNaming } from './http-naming.ts'
import { RegistrationLoop, deniedRetryMs, maxRetryMs } from '../../registration-loop.ts'
import { registrationWords } from '../../registration-words.ts'
import { removeInstance } from './removal.ts'
import type { RemovalOutcome } from './removal.ts'

export interface RegisteredInstanceDeps {
  readonly registry: string
  readonly naming: HttpNaming
  readonly servers: ServerList
  readonly times: NacosTimes
  readonly clock: Clock
  readonly random: () => number
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
  readonly trouble: Trouble
  readonly refusals: Pick<Refusals, 'refused' | 'answered' | 'forget'>
  /** This process has just begun; the one before it may still have a registration under way. */
  readonly isYoung: () => boolean
  /** A removal of the same instance that must be over first. */
  readonly after: Promise<unknown> | undefined
  /** The adapter closes. */
  readonly closing: AbortSignal
  /** The desired state is gone: by `deregister()` or `release()`. */
  readonly onEnd: (self: RegisteredInstance) => void
  /** `deregister()` has begun; `removal` resolves when nothing of it is under way any more. */
  readonly onRemoval: (self: RegisteredInstance, removal: Promise<void>) => void
}

export class RegisteredInstance extends RegistrationLoop {
  /** What the registry was told last, if anything. */
  private told: Registration | undefined
  private readonly deps: RegisteredInstanceDeps
  private readonly superseded = new AbortController()
  private server: NacosMember | undefined

  constructor(registration: Registration, deps: RegisteredInstanceDeps) {
    super(registration, deps.clock, deps.after)
    this.deps = deps
  }

  async deregister(deadlineMs: number): Promise<void> {
    if (this.isEnded) return
    this.end()
    const removal = this.remove(Math.max(1, deadlineMs))
    this.deps.onRemoval(this, removal)
    await removal
  }

  /** Whatever stood in the way may be mended: tries again now. */
  tryNow(): void {
    if (this.reached === 'failing') this.rest.wake()
  }

  private get identity(): string {
    const { service } = this.wanted
    return `${service.namespace}/${service.group}@@${service.name} ${endpointId(this.wanted)}`
  }

  /** The same instance is wanted again: a removal that is under way is not repeated. */
  supersede(): void {
    this.superseded.abort()
  }

  private async remove(deadlineMs: number): Promise<void> {
    const given = new AbortController()
    const cancelDeadline = this.deps.clock.after(deadlineMs, () => given.abort())
    const deadline = given.signal
    const isInFlight = !(await this.endOfStep(deadlineMs))
    const told = this.told
    const { kind, removals, remaining } = await removeInstance(
      {
        contents: told === undefined || told === this.wanted ? [this.wanted] : [this.wanted, told],
        isInFlight,
      },
      { deadline, superseded: this.superseded.signal, closing: this.deps.closing },
      {
        naming: this.deps.naming,
        servers: this.deps.servers,
        times: this.deps.times,
        clock: this.deps.clock,
        isTroubled: () => this.deps.trouble.isPresent || this.deps.isYoung(),
        onProblem: (server, words) => this.deps.log.debug({ ...this.words(), server: server.id }, words),
        onRepeat: (servers, count) => {
          this.countRemoval('repeated')
          this.deps.log.info(
            { ...this.words(), servers, removals: count },
            'Nacos servers show the application although its removal was taken; removing it again',
          )
        },
      },
    )
    cancelDeadline()
    this.countRemoval(kind)
    const words = { ...this.words(), removals }
    switch (kind) {
      case 'gone':
        return this.deps.log.info(words, 'removed the application from Nacos')
      case 'unseen':
        return this.deps.log.info(
          words,
          'removed the application from Nacos; there was no time, or no way, to see that all its servers know',
        )
      case 'superseded':
        return this.deps.log.info(words, 'the removal of the application ends here: it is announced again')
      case 'taken-over':
        return this.deps.log.info(
          words,
          'removed the application from Nacos; somebody else has registered this address since, and is left alone',
        )
      case 'remains':
        return this.deps.log.warn(
          { ...words, servers: remaining },
          'Nacos took the removal, but some of its servers still show the application; without heartbeats they forget it within minutes',
        )
      case 'refused':
        return this.deps.log.warn(
          words,
          'Nacos did not confirm the removal in time; without heartbeats it removes the application by itself',
        )
    }
  }

  private countRemoval(result: RemovalOutcome['kind'] | 'repeated'): void {
    this.deps.metrics.count('registry_removals', { registry: this.deps.registry, result })
  }

  protected ended(): void {
    this.deps.refusals.forget('register', this.identity)
    this.deps.onEnd(this)
  }

  /** One registration or heartbeat; answers how long to wait for the next. */
  protected async step(): Promise<number> {
    const server = this.chooseServer()
    if (server === undefined)
      return this.failed(new MeshError('E_REGISTRY_UNREACHABLE', 'no Nacos server address is known'), undefined)
    const registration = this.wanted
    try {
      if (this.isCurrent) {
        const result = await this.deps.naming.beat(server, registration, this.abort.signal)
        this.count('beat', result)
        if (result === 'unknown') {
          this.deps.trouble.sign('forgotten', server.id)
          this.deps.log.info(
            { ...this.words(), server: server.id },
            'Nacos does not know this application any more; registering it again',
          )
          this.isCurrent = false
          return 0
        }
      } else {
        this.told = registration
        await this.deps.naming.register(server, registration, this.abort.signal)
        this.count('register', 'ok')
        // whatever changed meanwhile is sent next
        this.isCurrent = registration === this.wanted
      }
      this.succeeded(server)
      if (!this.isCurrent) return 0
      return this.deps.times.heartbeatMs * (0.9 + 0.2 * this.deps.random())
    } catch (error) {
      return this.failed(error as MeshError, server)
    }
  }

  private chooseServer(): NacosMember | undefined {
    const known = this.server
    if (known !== undefined && this.deps.servers.has(known.id)) return known
    this.server = this.deps.servers.inRandomOrder(known?.id)[0]
    return this.server
  }

  private succeeded(server: NacosMember): void {
    if (this.reached !== 'registered')
      this.deps.log.info(
        {
          ...this.words(),
          server: server.id,
          api: this.deps.naming.apiOf(server),
        },
        'the application is registered at Nacos',
      )
    this.reached = 'registered'
    this.failures = 0
    this.deps.refusals.answered('register', this.identity)
  }

  private failed(error: MeshError, server: NacosMember | undefined): number {
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT')
      if (!this.abort.signal.aborted) this.deps.trouble.sign('no-answer', server?.id)
    if (this.isEnded) return 0
    this.count(this.isCurrent ? 'beat' : 'register', 'failed')
    this.failures++
    if (this.reached !== 'failing')
      this.deps.log.warn(
        { ...this.words(), server: server?.id, code: error.code },
        `${describeError(error)}; trying on`,
      )
    this.reached = 'failing'
    if (error.code === 'E_REGISTRY_DENIED') this.deps.refusals.refused('register', this.identity, error)
    if (error.code === 'E_REGISTRY_DENIED') return deniedRetryMs * (0.9 + 0.2 * this.deps.random())
    // another server at once; only when all had their turn, a pause
    const others = this.deps.servers.inRandomOrder(server?.id)
    this.server = others[0]
    if (others.length > 1 && this.failures % others.length !== 0) return 0
    const rounds = Math.ceil(this.failures / Math.max(1, others.length))
    return (
      Math.min(maxRetryMs, this.deps.times.heartbeatMs, 250 * 2 ** Math.min(rounds, 10)) *
      (0.5 + 0.5 * this.deps.random())
    )
  }

  private count(operation: 'register' | 'beat', result: 'ok' | 'known' | 'unknown' | 'failed'): void {
    this.deps.metrics.count('registry_heartbeats', { registry: this.deps.registry, operation, result })
  }

  private words(): object {
    return registrationWords(this.deps.registry, this.wanted)
  }
}
