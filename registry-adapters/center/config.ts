/** What the adapter for centers needs of the configuration. */
export interface CenterAdapterConfig {
  readonly name: string
  readonly servers: readonly { readonly host: string; readonly port: number }[]
  /** Who we are, for the log of the center. */
  readonly node: string
  /** PEM; undefined = plain. Read with each connection. */
  readonly tls: () => { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined
  /** undefined = none. Read with each connection. */
  readonly token: () => string | undefined
  readonly maxEndpoints: number
}
