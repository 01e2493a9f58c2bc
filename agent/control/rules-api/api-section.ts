/**
 * Questions and answers at the port of the rules API, whichever part of a center answers: the same callers and bounds.
 */
import type { ApiUser } from './api-user.ts'
import type { WatchOrder } from './watch-stream.ts'

export interface ApiRequest {
  readonly method: string
  /** Decoded, without a slash at its end. */
  readonly path: string
  readonly query: URLSearchParams
  readonly contentType: string
  readonly userAgent: string
  readonly body: string
  readonly user: ApiUser
  /** Address of the caller. */
  readonly from: string
}

export type ApiReply =
  | { readonly status: number; readonly body: object; readonly warnings?: readonly string[] }
  | { readonly watch: WatchOrder }

/** As Kubernetes' discovery words it. */
export interface ApiResource {
  readonly group: string
  readonly version: string
  /** As in paths. */
  readonly name: string
  readonly singularName: string
  readonly shortNames: readonly string[]
  readonly namespaced: boolean
  readonly kind: string
  readonly verbs: readonly string[]
}

export interface ApiSection {
  readonly resources: readonly ApiResource[]
  /** `path`: decoded, without a slash at its end. */
  serves(path: string): boolean
  /** Rejects with ApiError for every refusal. */
  answer(request: ApiRequest): Promise<ApiReply>
}
