/** What the configuration of a host lets Gateways open there; a rule alone opens no port. */
export interface GatewayHost {
  /** `spec.selector` of a Gateway matches these. */
  readonly labels: Readonly<Record<string, string>>
  /** The first is where a server without `bind` listens; `bind` is one of them. */
  readonly addresses: readonly string[]
  readonly ports: readonly number[]
  readonly trustedProxies: number
  /** By which other hosts know this one. */
  readonly address: string
}
