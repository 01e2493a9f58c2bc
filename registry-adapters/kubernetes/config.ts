/** What the Kubernetes adapter is told. */
import type { HttpServer, TlsTexts } from '../http/http-client.ts'

/** Where and as whom the API server is asked; read anew for each connection, since tokens in files are replaced. */
export interface ClusterAccess {
  readonly server: HttpServer
  /** undefined = plain HTTP, which only `kubectl proxy` and tests speak. */
  readonly tls: () => TlsTexts | undefined
  readonly token: () => string | undefined
}

export interface KubernetesAdapterConfig {
  /** Name of the registry in `agent.yaml`. */
  readonly name: string
  readonly access: ClusterAccess
  /** Namespace that its services have in the mesh; their group is the Kubernetes namespace. */
  readonly namespace: string
  /** Kubernetes namespaces that are read; services of others have no instance here. */
  readonly namespaces: readonly string[]
  /** Whether and how local applications are written back, so that pods call them. */
  readonly write: 'off' | 'endpoint-slices' | 'workload-entries'
  /** Whether rules that lie in these namespaces are read. */
  readonly hasRules: boolean
  readonly maxEndpoints: number
  /** ms that one watch lasts; the next one goes on where it ended. */
  readonly watchMs: number
  /** ms between looks at whether the API server can be asked at all. */
  readonly pulseMs: number
}
