/**
 * Whether the servers are in trouble, or were a moment ago: one is lost or came back, one has forgotten what it knew, a
 * connection moved. Members that come and go pass responsibility for instances around and load each other's memory; for
 * a while they lose living instances and bring removed ones back.
 */
import type { Clock } from '../../../contracts/clock.ts'
import type { AdapterLog, AdapterMetrics } from '../../../contracts/registry-adapter.ts'

export type TroubleSign =
  /** Our connection ended, or is silent. */
  | 'lost'
  /** Our connection is a new one. */
  | 'moved'
  /** A server asked us to go. */
  | 'reset'
  /** A server of the cluster cannot be reached, whether we are connected to it or not. */
  | 'member-lost'
  /** It came back. */
  | 'member-back'
  /** A heartbeat was not answered. */
  | 'no-answer'
  /** A heartbeat was answered with "unknown instance". */
  | 'forgotten'

const words: Readonly<Record<TroubleSign, string>> = {
  lost: 'the connection to Nacos was lost',
  moved: 'connected to another Nacos server',
  reset: 'a Nacos server asked us to move',
  'member-lost': 'a Nacos server cannot be reached',
  'member-back': 'a Nacos server came back',
  'no-answer': 'a Nacos server did not answer a heartbeat',
  forgotten: 'a Nacos server has forgotten an application of this host',
}

export interface TroubleOptions {
  readonly registry: string
  readonly settleMs: number
  readonly clock: Clock
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
}

export class Trouble {
  private readonly options: TroubleOptions
  private until = 0

  constructor(options: TroubleOptions) {
    this.options = options
  }

  /** For `settleMs` after the last sign. */
  get isPresent(): boolean {
    return this.options.clock.monotonic() < this.until
  }

  sign(sign: TroubleSign, server: string | undefined): void {
    const { registry, settleMs, log, metrics } = this.options
    metrics.count('registry_trouble_signs', { registry, sign })
    if (!this.isPresent)
      log.info(
        { registry, server, sign },
        `${words[sign]}; for ${Math.ceil(settleMs / 1000)} s an instance that vanishes stays in use until a second look confirms it`,
      )
    this.until = this.options.clock.monotonic() + settleMs
  }
}
