/**
 * What an agent tells the centers about its host, and what a center tells of a host to others. JSON over HTTP:
 *
 *     PUT    /apis/hostmesh.io/v1/hosts/NAME   HostReport -> 200, or a Status with the reason
 *     GET    /apis/hostmesh.io/v1/hosts[/NAME] -> Kubernetes' list, or object, whose `status` is a HostView
 *     DELETE /apis/hostmesh.io/v1/hosts/NAME   forgets a host
 *
 * Times are epoch ms. Texts are cut to `maxReportText` characters and lists to their bounds by whoever reports; a
 * center refuses what is longer.
 */
import type { DryRunOrder, DryRunReport } from './dry-run.ts'
import type { ReportedFace } from './reported-face.ts'

export const hostsPath = '/apis/hostmesh.io/v1/hosts'
export const hostReportFormat = 1

/** Longest body of a report, bytes. */
export const maxReportBytes = 256 * 1024
export const maxReportText = 500
/** Kind, namespace and name: `VirtualService shop/orders`. */
export const maxRuleName = 600

/** Most rows of each list of a report. */
export const reportBounds = {
  labels: 64,
  problems: 50,
  applications: 500,
  registries: 16,
  rejectedRules: 100,
  askedRules: 16,
  traffic: 500,
  /** Buckets of a histogram, +Inf included. */
  buckets: 40,
} as const

export interface HostReport {
  readonly format: typeof hostReportFormat
  readonly host: string
  readonly address: string
  readonly zone: string
  readonly region: string
  /** `host.labels` of its configuration: shares of hosts are chosen by them. */
  readonly labels: Readonly<Record<string, string>>
  /** Of the product. */
  readonly version: string
  readonly generation: number
  /** Of control. */
  readonly startedAt: number
  readonly workers: number
  readonly snapshotVersion: number
  readonly isReady: boolean
  /** What `/ready` says is wrong although the host serves. */
  readonly problems: readonly string[]
  readonly tier: TierCounts
  readonly connections: number
  readonly applications: readonly ReportedApplication[]
  readonly registries: readonly ReportedRegistry[]
  readonly rules: ReportedRules
  /** Absent = there was none, or nobody supervises. */
  readonly lastRestart?: ReportedRestart
  /** What it found in the dry run that a center ordered last; absent = there was none. */
  readonly dryRun?: DryRunReport
  /** Absent = it has no Nacos face, or too much is granted to tell. */
  readonly nacosFace?: ReportedFace
  /** Upper bounds of the buckets of `traffic`, ms, without +Inf. */
  readonly bucketsMs: readonly number[]
  /** The busiest, as counters since the host began to count. */
  readonly traffic: readonly ReportedTraffic[]
}

export interface TierCounts {
  /** Which path new connections take now. */
  readonly now: 'agent' | 'center' | 'direct'
  /** Requests by the agent; connections that the watchdog relayed to a center, or straight to an endpoint. */
  readonly agent: number
  readonly center: number
  readonly direct: number
}

export interface ReportedApplication {
  /** `public/DEFAULT_GROUP@@orders`. */
  readonly service: string
  /** Where it listens on its host. */
  readonly address: string
  readonly port: number
  /** 0 = it has none. */
  readonly inboundPort: number
  readonly protocol: string
  readonly health: 'healthy' | 'unhealthy' | 'unchecked'
  /** Of its registration. */
  readonly state: string
  readonly problem: string
}

export interface ReportedRegistry {
  readonly name: string
  readonly type: string
  readonly isConnected: boolean
  readonly problem: string
}

export interface ReportedRules {
  readonly applied: number
  /** Also those that another rule overrules. */
  readonly rejected: readonly RejectedRule[]
  /** Those that a center asked about with its answers; absent = none, or an agent that cannot say. */
  readonly asked?: readonly AskedRule[]
}

/** How a rule stands on this host, whatever source it came from. */
export interface AskedRule {
  /** As it was asked: `VirtualService shop/orders`. */
  readonly rule: string
  /** Of what is in force under this name: `ruleVersion` of its text; '' = nothing is. */
  readonly version: string
  /** Of the newest version that was read, `absent` = there is none. */
  readonly state: string
}

export interface RejectedRule {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly source: string
  readonly state: string
  readonly message: string
}

export interface ReportedRestart {
  readonly kind: string
  readonly outcome: string
  readonly generation: number
  /** Empty = nothing failed. */
  readonly cause: string
  readonly at: number
  /** Until it served; -1 = never. */
  readonly servingMs: number
}

/** Requests of one caller to one service. */
export interface ReportedTraffic {
  /** `source`: seen where they were sent; `destination`: where they came in. */
  readonly reporter: 'source' | 'destination'
  /** Application that called; `unknown` where nobody knows. */
  readonly source: string
  /** Namespace and name, `public/orders`. */
  readonly service: string
  readonly requests: number
  /** Status 500 and more, a status of gRPC that says the same, or a response flag. */
  readonly failures: number
  /** Requests by bucket, the last one is +Inf. */
  readonly counts: readonly number[]
}

/** Answer to a report that was taken, beside the words of Kubernetes' `Status`. */
export interface ReportAnswer {
  /** While this host shall evaluate a rule; again with each answer. */
  readonly dryRun?: DryRunOrder
  /** The next reports shall say how these rules stand: `VirtualService shop/orders`. */
  readonly rules?: readonly string[]
}

/** What a center knows of a host. */
export interface HostView {
  readonly host: string
  /**
   * `silent`: no report for longer than `hosts.silentAfter`. `dead`: silent, and some instance there does not answer
   * either. `returning`: it reports again, but came and went too often to be believed at once.
   */
  readonly state: 'reporting' | 'silent' | 'dead' | 'returning'
  /** Of the last report that this center heard. */
  readonly heardAt: number
  readonly firstHeardAt: number
  /** Instances that subscribers are told are unhealthy, `10.0.0.7:21000`. */
  readonly unhealthyInstances: readonly string[]
  readonly report: HostReport
}
