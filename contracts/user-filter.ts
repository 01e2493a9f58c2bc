/**
 * What a filter of a user is: the contract for its authors (`docs/filters.md`). Stable: names and meanings stay, more
 * may come. A module of `filters` in `agent.yaml` has as its default export a function that makes one filter of its
 * settings:
 *
 *     import type { MakeFilter } from '@hostmesh/sdk'
 *     const make: MakeFilter = (settings, host) => ({ onRequestHead: (request) => { … } })
 *     export default make
 *
 * It runs inside a worker, beside the requests of everybody: what it does in one go, all others wait for.
 */

/** Called once in each worker. What it throws, or a promise that is rejected, keeps the filter off. */
export type MakeFilter = (
  settings: Readonly<Record<string, unknown>>,
  host: FilterHost,
) => UserFilter | Promise<UserFilter>

export interface FilterHost {
  /** The name of the filter in the configuration. */
  readonly name: string
  /** Folder of the configuration: paths of settings are relative to it. */
  readonly directory: string
  /** A line in the log of the worker, with the name of the filter; those beyond ten in ten seconds are left out. */
  log(message: string): void
}

/** All hooks are optional. Requests and replies are those of HTTP/1.1, HTTP/2 and private RPC alike. */
export interface UserFilter {
  /**
   * The head of a request that a route has taken, before its destination is chosen. Nothing: it goes on. An answer ends
   * it here. A promise makes the request wait, at most `deadline`.
   */
  onRequestHead?(request: FilterRequest): FilterSays | Promise<FilterSays>
  /**
   * The content of a request as a whole, empty where there is none; the request waits for it. More than 64 KiB is
   * refused with 413. It says what `onRequestHead` says, which then may not promise anything itself.
   */
  onRequestBody?(body: Uint8Array, request: FilterRequest): FilterSays | Promise<FilterSays>
  /**
   * The head of the reply before it goes to the caller: an endpoint's, or an answer of the mesh. In one go: a reply
   * does not wait.
   */
  onReplyHead?(reply: FilterReply, request: FilterRequest): void
}

/** Nothing, or the answer that the caller gets instead. */
export type FilterSays = void | undefined | null | FilterAnswer

export interface FilterAnswer {
  /** 200 to 599. */
  readonly status: number
  /** None that frame the message or belong to a connection. */
  readonly headers?: Readonly<Record<string, string>>
  /** At most 1 MiB. */
  readonly body?: string | Uint8Array
}

/** Names of fields are in any case; values are one line of visible characters. What is not allowed throws. */
export interface FilterFields {
  /** First value. */
  header(name: string): string | undefined
  /** All of them in their order, names in lower case. */
  headers(): (readonly [name: string, value: string])[]
  /** In place of what is there. */
  setHeader(name: string, value: string): void
  /** Beside what is there. */
  addHeader(name: string, value: string): void
  removeHeader(name: string): void
}

/** Readable until the exchange is over, changeable while `onRequestHead` and `onRequestBody` run or are waited for. */
export interface FilterRequest extends FilterFields {
  readonly method: string
  /** Without query, as sent. */
  readonly path: string
  /** Without `?`. */
  readonly query: string
  /** Lower case, with the port where the caller wrote one. */
  readonly authority: string
  readonly scheme: 'http' | 'https'
  readonly sourceAddress: string
  /** The calling application of this host, where it is known. */
  readonly sourceApplication: string | undefined
  /** SPIFFE id of the caller, where it came in mutual TLS. */
  readonly identity: string | undefined
  /** Bytes of content, as announced; -1 = not said before, 0 = none. */
  readonly bodyLength: number
  /** More content is refused with 413, at once or when it comes. Only in `onRequestHead`. */
  limitBody(bytes: number): void
  /** For the filter itself, from one hook to the next. Lost where a stream moves to another process. */
  data: unknown
  /** A word for the access log, at most 200 characters. */
  note(text: string): void
}

/** Changeable while `onReplyHead` runs. */
export interface FilterReply extends FilterFields {
  readonly status: number
  /** Content comes that may be changed: not of HEAD, 204 or 304, in private RPC, or of the mesh's own answers. */
  readonly hasBody: boolean
  /** Bytes, as announced; -1 = not said before. */
  readonly bodyLength: number
  /** Content passes through it. Its length is not announced any more. Throws without `hasBody`. */
  transformBody(transform: BodyTransform): void
}

/** Of one reply. What it throws breaks the reply off, which the caller sees. */
export interface BodyTransform {
  /** A piece of content, as it came. What goes on in its place, at most 1 MiB; nothing = nothing yet. */
  chunk(bytes: Uint8Array): Uint8Array | void | null
  /** The content is whole: what is still to come. */
  end?(): Uint8Array | void | null
}
