/**
 * Public keys of issuers that rules name by a URL: got as soon as a rule needs them, got anew every 20 minutes, and
 * kept while the issuer cannot be asked, over restarts too.
 */
import { isDeepStrictEqual } from 'node:util'
import type { PublicKeySpec } from '../../../../contracts/authentication-spec.ts'
import { describeError } from '../../../../contracts/errors.ts'
import type { AdapterMetrics } from '../../../../contracts/registry-adapter.ts'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'
import type { KeySource } from '../rules/types.ts'
import type { FetchText } from './fetch-text.ts'
import { maxKeySetBytes, readKeys } from './read-keys.ts'

export interface KeySourcesDeps {
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: Pick<AdapterMetrics, 'count' | 'gauge'>
  readonly fetch: FetchText
  readonly allowLoopback: () => boolean
  /** Other keys than before, or the reason why there are none. */
  onKeys(id: string, keys: readonly PublicKeySpec[] | undefined, problem: string | undefined): void
}

/** As Istio's default (PILOT_JWT_PUB_KEY_REFRESH_INTERVAL). */
const refreshMs = 20 * 60_000
const firstRetryMs = 1000
const maxRetryMs = 5 * 60_000
/** Issuers whose keys are kept; rules are not trusted to be few. */
const maxSources = 200

interface Kept {
  source: KeySource
  keys: readonly PublicKeySpec[] | undefined
  problem: string | undefined
  failures: number
  cancel: () => void
}

export class KeySources {
  private readonly deps: KeySourcesDeps
  private readonly kept = new Map<string, Kept>()
  /** Of the last run, until their rule is there. */
  private readonly remembered = new Map<string, readonly PublicKeySpec[]>()

  constructor(deps: KeySourcesDeps) {
    this.deps = deps
  }

  /** The sources that rules name now; what is named no more is forgotten. */
  want(sources: readonly KeySource[]): void {
    const wanted = new Map(sources.slice(0, maxSources).map((source) => [source.id, source]))
    if (sources.length > maxSources)
      this.deps.log.error({ code: 'E_OVERLOAD' }, `${sources.length} issuers, keys of ${maxSources} are kept`)
    for (const [id, one] of this.kept) {
      if (wanted.has(id)) continue
      one.cancel()
      this.kept.delete(id)
    }
    for (const [id, source] of wanted) {
      const known = this.kept.get(id)
      if (known !== undefined) known.source = source
      else this.begin(id, source)
    }
    this.deps.metrics.gauge('jwks_sources', {}, this.kept.size)
  }

  /** Plain data. */
  exportState(): unknown {
    return Object.fromEntries(
      [...this.kept].flatMap(([id, { keys }]) => (keys === undefined ? [] : [[id, JSON.stringify({ keys })]])),
    )
  }

  /** Before the first `want`. Tolerates anything. */
  importState(state: unknown): void {
    if (typeof state !== 'object' || state === null) return
    for (const [id, text] of Object.entries(state).slice(0, maxSources)) {
      const read = typeof text === 'string' ? readKeys(text) : undefined
      if (read !== undefined && 'keys' in read) this.remembered.set(id, read.keys)
    }
  }

  close(): void {
    for (const { cancel } of this.kept.values()) cancel()
    this.kept.clear()
  }

  private begin(id: string, source: KeySource): void {
    const keys = this.remembered.get(id)
    this.remembered.delete(id)
    const one: Kept = { source, keys, problem: undefined, failures: 0, cancel: () => {} }
    this.kept.set(id, one)
    if (keys !== undefined) this.deps.onKeys(id, keys, undefined)
    void this.look(id, one)
  }

  private async look(id: string, one: Kept): Promise<void> {
    const { clock, log, metrics, random } = this.deps
    const outcome = await this.read(one.source).catch((error: unknown) => ({ problem: describeError(error) }))
    if (this.kept.get(id) !== one) return
    if ('problem' in outcome) {
      one.failures++
      metrics.count('jwks_fetches', { result: 'failed' })
      this.failed(id, one, outcome.problem)
    } else {
      one.failures = 0
      metrics.count('jwks_fetches', { result: 'ok' })
      for (const note of outcome.notes.slice(0, 5)) log.warn({}, `keys of ${id}: ${note}; it is left out`)
      this.got(id, one, outcome.keys)
    }
    const pause =
      one.failures === 0 ? refreshMs : Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(one.failures - 1, 20))
    one.cancel = clock.after(pause * (0.9 + 0.2 * random()), () => void this.look(id, one))
  }

  private failed(id: string, one: Kept, problem: string): void {
    if (one.problem === problem) return
    const { log, onKeys } = this.deps
    one.problem = problem
    const what =
      one.keys === undefined ? 'no token of the issuer is good until they come' : 'the keys at hand stay in use'
    log.error({ code: 'E_KEYS_UNREACHABLE' }, `keys of ${id}: ${problem}; ${what}`)
    if (one.keys === undefined) onKeys(id, undefined, problem)
  }

  private got(id: string, one: Kept, keys: readonly PublicKeySpec[]): void {
    if (one.problem !== undefined) this.deps.log.info({}, `keys of ${id}: here again`)
    one.problem = undefined
    if (isDeepStrictEqual(one.keys, keys)) return
    one.keys = keys
    this.deps.onKeys(id, keys, undefined)
  }

  private async read({ isDiscovery, timeoutMs, url }: KeySource): Promise<ReturnType<typeof readKeys>> {
    const options = { timeoutMs, maxBytes: maxKeySetBytes, allowLoopback: this.deps.allowLoopback() }
    return readKeys(await this.deps.fetch(isDiscovery ? await this.discover(url, options) : url, options))
  }

  /** OpenID Connect Discovery 1.0, section 4. */
  private async discover(issuer: string, options: Parameters<FetchText>[1]): Promise<string> {
    const text = await this.deps.fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, options)
    const found = parsed(text)
    const uri = typeof found === 'object' && found !== null && 'jwks_uri' in found ? found.jwks_uri : undefined
    if (typeof uri !== 'string' || !/^https?:\/\//.test(uri) || !URL.canParse(uri))
      throw new TypeError('the configuration of the issuer names no jwks_uri')
    return uri
  }
}

/** What was answered is nobody's to read: it is in no error. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
