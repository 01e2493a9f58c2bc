/**
 * Who judges requests besides the policies of the mesh: a service that speaks Envoy's external authorization
 * (ext_authz), as Istio's mesh configuration names it under `extensionProviders`. Plain data, safe as JSON.
 */
import type { ServiceKey } from './endpoint.ts'

export interface ExternalAuthorizerSpec {
  /** By which policies name it. */
  readonly name: string
  readonly service: ServiceKey
  /** Of its endpoints; absent = any. */
  readonly port?: number
  /** Of one question with its answer, ms. */
  readonly timeoutMs: number
  /** Whether requests go on while it does not answer. */
  readonly failOpen: boolean
  /** Of the answer to a request that could not be judged. */
  readonly statusOnError: number
  readonly call: GrpcAuthorizerSpec | HttpAuthorizerSpec
  /** It is told the content of requests, too; absent = it is not. */
  readonly content?: {
    /** The first bytes, at most. */
    readonly maxBytes: number
    /** Of longer content it is told the first bytes; otherwise such requests are refused. */
    readonly allowsPartial: boolean
    /** Over gRPC as bytes (`raw_body`), otherwise as text (`body`). */
    readonly isRaw: boolean
  }
}

/** `envoy.service.auth.v3.Authorization/Check`. */
export interface GrpcAuthorizerSpec {
  readonly kind: 'grpc'
}

/**
 * The method and the target of the request, without its content: 200 allows. Patterns are a name, `prefix*`, `*suffix`
 * or `*`.
 */
export interface HttpAuthorizerSpec {
  readonly kind: 'http'
  /** In front of the path; '' = none. */
  readonly pathPrefix: string
  /** Patterns of the fields that it is told, beside Host and Authorization. */
  readonly requestFields: readonly string[]
  /** Fields that it is told besides. */
  readonly moreFields: Readonly<Record<string, string>>
  /** Patterns of the fields of its answer that the application gets, in place of the caller's. */
  readonly upstreamOnAllow: readonly string[]
  /** Patterns of the fields of its refusal that the caller gets; none = all. */
  readonly downstreamOnDeny: readonly string[]
  /** Patterns of the fields of its answer that the caller gets beside those of the reply. Absent = none. */
  readonly downstreamOnAllow?: readonly string[]
}
