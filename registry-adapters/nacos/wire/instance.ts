/** One instance as it stands in Nacos JSON, in every server line and in both directions. */
export interface WireInstance {
  readonly instanceId?: string | null
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly healthy: boolean
  readonly enabled: boolean
  readonly ephemeral: boolean
  readonly clusterName: string
  /** `group@@name`. */
  readonly serviceName?: string | null
  readonly metadata: Readonly<Record<string, string>>
  readonly instanceHeartBeatInterval?: number
  readonly instanceHeartBeatTimeOut?: number
  readonly ipDeleteTimeout?: number
}

/** Nacos's defaults (com.alibaba.nacos.api.common.Constants). */
export const instanceDefaults = {
  clusterName: 'DEFAULT',
  weight: 1,
} as const

/** The largest weight that a server accepts; it cuts larger ones. */
export const maxInstanceWeight = 10_000
