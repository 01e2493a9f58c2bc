/** A request as an external authorizer is told of it. */
import { isIPv6 } from 'node:net'
import type { TakenContent } from '../answer.ts'
import type { FilterContext } from '../filter.ts'

/** In Envoy's words: whether content is told in part. */
export const partialField = 'x-envoy-auth-partial-body'

export interface Asked {
  readonly method: string
  /** With its query, as it came. */
  readonly target: string
  readonly authority: string
  readonly scheme: string
  /**
   * Of those that the application would get the ones that are told, in lower case, each once: values of a field that
   * came twice joined by commas.
   */
  readonly fields: ReadonlyMap<string, string>
  readonly sourceAddress: string
  readonly localPort: number
  /** SPIFFE id of the caller; '' = nobody knows. */
  readonly principal: string
  /** Epoch ms. */
  readonly at: number
  /** Of its content; undefined = that is not told. */
  readonly content: TakenContent | undefined
}

/** `isTold`: whether the authorizer is told of a field at all. */
export function askedOf(
  context: FilterContext,
  at: number,
  content: TakenContent | undefined,
  isTold: (name: string) => boolean,
): Asked {
  const { peer, view } = context
  const fields = new Map<string, string>()
  context.eachField((name, value) => {
    if (!isTold(name)) return
    const present = fields.get(name)
    fields.set(name, present === undefined ? value : `${present}${name === 'cookie' ? '; ' : ','}${value}`)
  })
  if (content !== undefined) fields.set(partialField, String(!content.isWhole))
  return {
    method: view.method,
    target: view.query === '' ? view.path : `${view.path}?${view.query}`,
    authority: view.authority,
    scheme: view.scheme,
    fields,
    sourceAddress: view.sourceAddress,
    localPort: view.localPort,
    principal: peer.kind === 'spiffe' ? peer.id : (view.source?.identity ?? ''),
    at,
    content,
  }
}

export function hostOf({ service }: { readonly service: string }): string {
  const name = service.slice(service.indexOf('@@') + 2)
  return isIPv6(name) ? `[${name}]` : name
}
