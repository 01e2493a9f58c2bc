/** What is wrong with destinations now, for the host's timeline: told as a whole whenever it differs. */
import { maxWorkerTroubles, type WorkerTrouble } from '../../../contracts/events.ts'
import { BreakerState } from '../balance/breaker.ts'
import type { Cluster } from '../balance/types.ts'

const breakerWords: Readonly<Record<number, string>> = {
  [BreakerState.halfOpen]: 'half-open',
  [BreakerState.open]: 'open',
}

export class Troubles {
  private readonly tell: (troubles: readonly WorkerTrouble[]) => void
  private told = '[]'

  constructor(tell: (troubles: readonly WorkerTrouble[]) => void) {
    this.tell = tell
  }

  /** Cheap where nothing is wrong: two numbers of each destination are read. */
  look(upstreams: Iterable<{ readonly cluster: Cluster }>): void {
    const found: WorkerTrouble[] = []
    for (const { cluster } of upstreams) {
      const { breakerState, ejectedEndpoints } = cluster.numbers
      if ((breakerState === BreakerState.closed && ejectedEndpoints === 0) || found.length >= maxWorkerTroubles)
        continue
      const name = nameOf(cluster)
      const what = breakerWords[breakerState]
      if (what !== undefined) found.push({ kind: 'breaker', about: name, what, reason: '' })
      for (const { id, reason } of cluster.ejected())
        found.push({ kind: 'ejection', about: `${name} ${id}`, what: 'ejected', reason })
    }
    const troubles = found.slice(0, maxWorkerTroubles)
    const text = JSON.stringify(troubles)
    if (text === this.told) return
    this.told = text
    this.tell(troubles)
  }

  /** Whoever listens is another one: it is told with the next look, also that nothing is wrong. */
  forget(): void {
    this.told = ''
  }
}

function nameOf({ service, subset }: Cluster): string {
  return subset === undefined ? service : `${service} (${subset})`
}
