/** What routing and filters read of a request or a connection. */
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'

/**
 * A request as routing reads it. The exchange of the data path implements it lazily over the head's bytes; `explain`
 * implements it over plain values. A route that matches on nothing but a path prefix never makes the other getters run.
 */
export interface RequestView {
  readonly method: string
  /** Without query, exactly as sent (R37). */
  readonly path: string
  /** Without `?`; empty if none. */
  readonly query: string
  /** Lower case, with the port if the caller wrote one. */
  readonly authority: string
  readonly scheme: 'http' | 'https'
  /** Port of the listener. */
  readonly localPort: number
  /** Whether Host names the service: not on a port of one service, and not beside `x-mesh-service`. */
  readonly isNamedByHost: boolean
  /** The port in Host where Host names the service; 0 = none. */
  readonly namedPort: number
  /** Address of the caller. */
  readonly sourceAddress: string
  readonly source: SourceAppSpec | undefined
  /** First value of a field; `name` in lower case. */
  header(name: string): string | undefined
  /** All values of a field, joined by commas as they came; what rules are matched against. */
  headerValues(name: string): string | undefined
}

/** A connection as TCP routing reads it. */
export interface ConnectionView {
  readonly localPort: number
  readonly localAddress: string
  readonly sourceAddress: string
  readonly source: SourceAppSpec | undefined
  /** Of its TLS hello, in lower case; '' = none. */
  readonly serverName: string
}
