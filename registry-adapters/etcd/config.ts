/** What the etcd adapter is told. */
import type { HttpServer, TlsTexts } from '../http/http-client.ts'

export interface EtcdAdapterConfig {
  /** Name of the registry in `agent.yaml`. */
  readonly name: string
  /** Client addresses of the members; 3.4 or newer, whose JSON gateway is used. */
  readonly servers: readonly HttpServer[]
  /** Instances are `PREFIX/NAME/IP:PORT`. Begins with a slash, ends without one. */
  readonly prefix: string
  readonly namespace: string
  readonly group: string
  readonly credentials: () => { readonly name: string; readonly password: string } | undefined
  readonly tls: () => TlsTexts | undefined
  /** An application of a dead host is gone so long after its last sign of life; ms, whole seconds. */
  readonly leaseMs: number
  readonly maxEndpoints: number
  /** ms between looks at whether the servers can be asked at all. */
  readonly pulseMs: number
}
