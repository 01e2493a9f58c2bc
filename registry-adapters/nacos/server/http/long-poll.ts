/** Parked requests that are answered when one of their documents changes, or with nothing when their time is up. */
import type { Clock } from '../../../../contracts/clock.ts'
import type { ConfigBackend, ConfigKey } from '../backend.ts'
import type { Caller } from '../../../../guard/caller.ts'
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
  readonly limits: Pick<NacosLimits, 'maxParkedPolls' | 'maxConfigListeners'>
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

  constructor(deps: LongPollsDeps) {
    this.deps = deps
  }

  get parked(): number {
    return this.polls.size
  }

  /**
   * Resolves with the changed documents: at once when some differ already or `timeoutMs` is undefined, else at the
   * first change, or with '' half a second before the client's own time is up.
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
    if (this.polls.size >= limits.maxParkedPolls) {
      throw overLimit('maxParkedPolls', this.polls.size + 1, limits.maxParkedPolls)
    }
    return await this.park(listening, Math.min(maxWaitMs, Math.max(500, timeoutMs - 500)), signal, caller)
  }

  /** Answers all parked requests with nothing. */
  close(): void {
    for (const release of this.polls) release()
  }

  private park(listening: readonly Listening[], waitMs: number, signal: AbortSignal, caller: Caller): Promise<string> {
    return new Promise((resolve) => {
      const finish = (changed: readonly Listening[]): void => {
        if (!this.polls.delete(release)) return
        cancel()
        signal.removeEventListener('abort', release)
        for (const watch of watches) watch.unsubscribe()
        resolve(answerOf(changed))
      }
      const release = (): void => finish([])
      this.polls.add(release)
      const cancel = this.deps.clock.after(waitMs, release)
      signal.addEventListener('abort', release)
      const watches = listening.map((one) =>
        this.deps.config.watch(
          one.key,
          one.md5,
          (md5) => {
            if (md5 !== one.md5) finish([one])
          },
          caller,
        ),
      )
    })
  }
}
