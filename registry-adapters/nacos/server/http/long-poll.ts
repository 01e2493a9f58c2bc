/** Parked requests that are answered when one of their documents changes, or with nothing when their time is up. */
import type { Clock } from '../../../../contracts/clock.ts'
import type { Subscription } from '../../../../contracts/registry-adapter.ts'
import type { ConfigBackend, ConfigKey } from '../backend.ts'
import { callerName, type Caller } from '../../../../guard/caller.ts'
import { readable } from '../readable.ts'
import { NacosFault, overLimit } from '../fault.ts'
import { configKeyOf } from '../config-key.ts'
import type { NacosLimits } from '../limits.ts'

interface Listening {
  readonly key: ConfigKey
  readonly md5: string
  /** As the client wrote it: it finds its document by these words. */
  readonly words: readonly string[]
}

export interface LongPollsDeps {
  readonly clock: Clock
  readonly config: ConfigBackend
  readonly limits: Pick<NacosLimits, 'maxParkedPolls' | 'maxParkedPollsPerUser' | 'maxConfigListeners'>
}

const word = '\u0002'
const line = '\u0001'
const maxWaitMs = 60_000

/** Reads `dataId ^2 group ^2 md5 [^2 tenant] ^1` for each document. */
export function parseListening(text: string, maxConfigListeners: number): Listening[] {
  const lines = text.split(line).filter((part) => part !== '')
  if (lines.length === 0) throw new NacosFault('parameter-invalid', 'invalid probeModify')
  if (lines.length > maxConfigListeners) throw overLimit('maxConfigListeners', lines.length, maxConfigListeners)
  return lines.map((part) => {
    const [dataId, group, md5, tenant] = part.split(word)
    if (dataId === undefined || group === undefined || md5 === undefined) {
      throw new NacosFault('parameter-invalid', 'invalid probeModify')
    }
    const words = tenant === undefined || tenant === '' ? [dataId, group] : [dataId, group, tenant]
    return { key: configKeyOf(tenant, group, dataId), md5, words }
  })
}

/** `dataId%02group%02tenant%01` for each changed document, '' for none. */
function answerOf(changed: readonly Listening[]): string {
  return changed.map(({ words }) => encodeURIComponent(words.join(word) + line)).join('')
}

export class LongPolls {
  private readonly deps: LongPollsDeps
  private readonly polls = new Set<() => void>()
  /** Of `polls`, by caller. */
  private readonly shares = new Map<string, number>()
  /** Of `polls`: those that listen to something. */
  private listening = 0

  constructor(deps: LongPollsDeps) {
    this.deps = deps
  }

  get parked(): number {
    return this.polls.size
  }

  /**
   * Resolves with the changed documents: at once when some differ already or `timeoutMs` is undefined, else at the
   * first change, or with '' half a second before the client's own time is up. One whose documents are all denied waits
   * as long, for its client would ask again at once; it has a place in the share of its caller alone.
   */
  async poll(text: string, timeoutMs: number | undefined, signal: AbortSignal, caller: Caller): Promise<string> {
    const { config, limits } = this.deps
    const listening: Listening[] = []
    const changed: Listening[] = []
    for (const one of parseListening(text, limits.maxConfigListeners)) {
      const now = await readable(config, one.key, caller)
      if (now === 'denied') continue
      listening.push(one)
      if ((now?.md5 ?? '') !== one.md5) changed.push(one)
    }
    if (changed.length > 0 || timeoutMs === undefined || signal.aborted) return answerOf(changed)
    const share = (this.shares.get(callerName(caller)) ?? 0) + 1
    if (share > limits.maxParkedPollsPerUser) {
      throw overLimit('maxParkedPollsPerUser', share, limits.maxParkedPollsPerUser)
    }
    if (listening.length > 0 && this.listening >= limits.maxParkedPolls) {
      throw overLimit('maxParkedPolls', this.listening + 1, limits.maxParkedPolls)
    }
    return await this.park(listening, Math.min(maxWaitMs, Math.max(500, timeoutMs - 500)), signal, caller)
  }

  /** Answers all parked requests with nothing. */
  close(): void {
    for (const release of this.polls) release()
  }

  private park(listening: readonly Listening[], waitMs: number, signal: AbortSignal, caller: Caller): Promise<string> {
    const { clock, config } = this.deps
    return new Promise((resolve, reject) => {
      const watches: Subscription[] = []
      const finish = (changed: readonly Listening[]): void => {
        if (!this.leave(release, listening, caller)) return
        cancel()
        signal.removeEventListener('abort', release)
        for (const watch of watches) watch.unsubscribe()
        resolve(answerOf(changed))
      }
      const release = (): void => finish([])
      this.enter(release, listening, caller)
      const cancel = clock.after(waitMs, release)
      signal.addEventListener('abort', release)
      try {
        for (const one of listening) {
          const onChange = (md5: string): void => {
            if (md5 !== one.md5) finish([one])
          }
          watches.push(config.watch(one.key, one.md5, onChange, caller))
        }
      } catch (error) {
        // at a bound, or denied by now
        reject(error as Error)
        release()
      }
    })
  }

  private enter(release: () => void, { length }: readonly Listening[], caller: Caller): void {
    const name = callerName(caller)
    this.polls.add(release)
    this.shares.set(name, (this.shares.get(name) ?? 0) + 1)
    if (length > 0) this.listening++
  }

  /** False = it has left before. */
  private leave(release: () => void, { length }: readonly Listening[], caller: Caller): boolean {
    if (!this.polls.delete(release)) return false
    const name = callerName(caller)
    const left = (this.shares.get(name) ?? 1) - 1
    if (left > 0) this.shares.set(name, left)
    else this.shares.delete(name)
    if (length > 0) this.listening--
    return true
  }
}
