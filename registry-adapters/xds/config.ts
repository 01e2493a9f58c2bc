/** What the adapter for foreign control planes needs of the configuration. */
export interface XdsAdapterConfig {
  readonly name: string
  readonly servers: readonly { readonly host: string; readonly port: number }[]
  /** `node.id` and `node.cluster`: by them a control plane knows for whom it speaks. */
  readonly node: string
  readonly cluster: string
  /** What its clusters are here. */
  readonly namespace: string
  readonly group: string
  /** PEM; undefined = plain. Read with each connection. */
  readonly tls: () => { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined
  /** undefined = none. Read with each connection. */
  readonly token: () => string | undefined
  readonly maxEndpoints: number
}
