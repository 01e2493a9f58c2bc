/**
 * Watches what this host really serves while a drill runs, and says when it suffers: the share of failed requests, of
 * all services but the probe's own, above what it was before.
 */
import { type AdminClient, adminJson } from '../admin-client.ts'

export interface TrafficCounts {
  readonly requests: number
  readonly failures: number
}

export interface Harm {
  /** Requests since the fault. */
  readonly requests: number
  readonly failures: number
}

/** Fewer say nothing. */
const leastRequests = 20

export class Guard {
  private readonly bound: number
  private before: number | undefined
  private last: TrafficCounts | undefined
  private since: TrafficCounts = { requests: 0, failures: 0 }

  /** bound: share of failed requests, 0..1, that is borne beside what failed before the drill. */
  constructor(bound: number) {
    this.bound = bound
  }

  /** Of the time before the fault: what fails anyway. */
  calm(counts: TrafficCounts): void {
    const { failures, requests } = this.step(counts)
    this.since = { requests: this.since.requests + requests, failures: this.since.failures + failures }
    this.before = share(this.since)
  }

  /** From now on it counts. */
  arm(): void {
    this.since = { requests: 0, failures: 0 }
  }

  /** Why to give up; undefined = go on. */
  look(counts: TrafficCounts): string | undefined {
    const { failures, requests } = this.step(counts)
    this.since = { requests: this.since.requests + requests, failures: this.since.failures + failures }
    const bound = this.bound + (this.before ?? 0)
    if (this.since.requests < leastRequests || share(this.since) <= bound) return undefined
    return `${this.since.failures} of ${this.since.requests} real requests failed, allowed ${percent(bound)}`
  }

  harm(): Harm {
    return { ...this.since }
  }

  /** With a new control counters begin anew, or with what was last kept of them: nothing can be said of that step. */
  private step({ failures, requests }: TrafficCounts): TrafficCounts {
    const { last } = this
    this.last = { failures, requests }
    if (last === undefined || requests < last.requests || failures < last.failures) return { failures: 0, requests: 0 }
    return { failures: failures - last.failures, requests: requests - last.requests }
  }
}

function share({ failures, requests }: TrafficCounts): number {
  return requests === 0 ? 0 : failures / requests
}

export function percent(value: number): string {
  return `${Math.round(value * 1000) / 10} %`
}

/** Of the services that applications of this host call; undefined while control does not answer. */
export async function realTraffic(admin: AdminClient, probeService: string): Promise<TrafficCounts | undefined> {
  try {
    const { services } = (await adminJson(admin, '/traffic')) as {
      services: { reporter: string; service: string; requests: number; failures: number }[]
    }
    const real = services.filter(({ service }) => !service.includes(probeService))
    return {
      requests: real.reduce((sum, one) => sum + one.requests, 0),
      failures: real.reduce((sum, one) => sum + one.failures, 0),
    }
  } catch {
    return undefined
  }
}
