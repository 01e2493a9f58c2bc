/**
 * The requests of one type on one stream, state of the world: what was taken is acknowledged, what was not is refused
 * with the reason. A server that answers a refusal with the same again at once is refused ever more slowly.
 */
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { typeUrls, type DiscoveryRequest, type DiscoveryResponse, type ResourceType } from './wire/discovery.ts'

/** Pause before the second refusal in a row, doubled with each, and its end; ms. */
const firstPauseMs = 250
const lastPauseMs = 5000

export interface ExchangeDeps extends Pick<AdapterDeps, 'clock' | 'random'> {
  send(request: DiscoveryRequest): void
}

export class Exchange {
  private readonly deps: ExchangeDeps
  private readonly typeUrl: string
  private names: readonly string[] = []
  private version = ''
  private nonce = ''
  private refusals = 0
  private cancelPause: (() => void) | undefined

  constructor(type: ResourceType, deps: ExchangeDeps) {
    this.typeUrl = typeUrls[type]
    this.deps = deps
  }

  /** All resources of the type, without names. */
  askAll(): void {
    this.send()
  }

  /** These, from now on. */
  want(names: ReadonlySet<string>): void {
    const isSame = names.size === this.names.length && this.names.every((name) => names.has(name))
    if (isSame) return
    this.names = [...names].sort()
    // a refusal that waits takes them along
    if (this.cancelPause === undefined) this.send()
  }

  /** `problem`: why it is refused; undefined = it is not. */
  answer({ nonce, version }: DiscoveryResponse, problem: string | undefined): void {
    this.cancelPause?.()
    this.cancelPause = undefined
    this.nonce = nonce
    if (problem === undefined) {
      this.version = version
      this.refusals = 0
      this.send()
      return
    }
    const refusals = this.refusals++
    if (refusals === 0) return this.send(problem)
    const pauseMs = Math.min(lastPauseMs, firstPauseMs * 2 ** Math.min(refusals - 1, 10))
    this.cancelPause = this.deps.clock.after(pauseMs * (0.75 + this.deps.random() / 2), () => {
      this.cancelPause = undefined
      this.send(problem)
    })
  }

  /** Nothing is sent from now on. */
  close(): void {
    this.cancelPause?.()
  }

  private send(error?: string): void {
    const { names, nonce, typeUrl, version } = this
    this.deps.send({ typeUrl, version, names, nonce, error })
  }
}
