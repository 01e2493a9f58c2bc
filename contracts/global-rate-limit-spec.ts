/** Limits that hosts share: what a service of Envoy's rate-limit protocol is asked. Plain data, safe as JSON. */
import type { ServiceKey } from './endpoint.ts'

export interface RateLimitServiceSpec {
  /** By which policies name it. */
  readonly name: string
  readonly service: ServiceKey
  /** Of its endpoints; absent = any. */
  readonly port?: number
  /** Of one question with its answer, ms. */
  readonly timeoutMs: number
  /** Whether requests about which nothing is known are refused while it does not answer. */
  readonly failureModeDeny: boolean
  /** Of a limit that each host applies meanwhile, 0..1; absent = one of as many as the service said that there are. */
  readonly localShare?: number
  /** Fields of the question. */
  readonly metadata: Readonly<Record<string, string>>
}

/** As rules match fields: RE2 syntax for a regex, `present` for one that is there at all. */
export type HeaderMatchSpec =
  { readonly exact: string } | { readonly prefix: string } | { readonly regex: string } | { readonly present: true }

/** An entry of a descriptor, in Envoy's words. An action that gives none leaves out its descriptor. */
export type DescriptorActionSpec =
  | { readonly kind: 'generic-key'; readonly key: string; readonly value: string }
  /** `name` in lower case, or `:path`, `:method`, `:authority`, `:scheme`. */
  | {
      readonly kind: 'request-headers'
      readonly key: string
      readonly name: string
      /** Without it the entry is left out, and the descriptor is not. */
      readonly skipIfAbsent: boolean
    }
  | { readonly kind: 'remote-address' }
  | { readonly kind: 'source-cluster' }
  | {
      readonly kind: 'header-value-match'
      readonly key: string
      readonly value: string
      readonly expectMatch: boolean
      /** All of them; names in lower case. */
      readonly headers: Readonly<Record<string, HeaderMatchSpec>>
    }

export interface GlobalRateLimitSpec {
  readonly name: string
  readonly provider: string
  /** Absent: the configuration of the host does not name it, so that nobody is asked. */
  readonly service?: RateLimitServiceSpec
  readonly domain: string
  readonly hitsAddend: number
  readonly descriptors: readonly (readonly DescriptorActionSpec[])[]
  /** Inbound: the calling application is the one that the caller's agent names. */
  readonly bySourceHeader?: boolean
}
