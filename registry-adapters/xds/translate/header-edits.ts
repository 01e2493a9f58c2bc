/** Headers to add and to remove as `headers` of a VirtualService. */
import type { Faults } from '../wire/faults.ts'
import type { HeaderOptionMessage } from '../wire/route.ts'

/** What a route, a virtual host, a route configuration and a weighted cluster have alike. */
export interface WithHeaders {
  readonly request_headers_to_add?: readonly HeaderOptionMessage[]
  readonly request_headers_to_remove?: readonly string[]
  readonly response_headers_to_add?: readonly HeaderOptionMessage[]
  readonly response_headers_to_remove?: readonly string[]
}

interface Edits {
  readonly set: Record<string, string>
  readonly add: Record<string, string>
  readonly remove: string[]
}

/** Values of `HeaderAppendAction`. */
const appends = 0
const overwrites = 2

export interface HeaderEdits {
  readonly request?: object
  readonly response?: object
}

/** Of several levels, in Envoy's order: the later one has the last word. */
export function headersOf(levels: readonly (readonly [WithHeaders, path: string])[], faults: Faults): HeaderEdits {
  const request = noEdits()
  const response = noEdits()
  for (const [level, path] of levels) {
    read(level.request_headers_to_add, `${path}request_headers_to_add`, request, faults)
    read(level.response_headers_to_add, `${path}response_headers_to_add`, response, faults)
    request.remove.push(...(level.request_headers_to_remove ?? []))
    response.remove.push(...(level.response_headers_to_remove ?? []))
  }
  return { ...shown('request', request), ...shown('response', response) }
}

function noEdits(): Edits {
  return { set: {}, add: {}, remove: [] }
}

function read(options: readonly HeaderOptionMessage[] | undefined, path: string, into: Edits, faults: Faults): void {
  options?.forEach(({ append, append_action: action, header }, at) => {
    const { key = '', value = '' } = header ?? {}
    const wanted = action ?? (append === false ? overwrites : appends)
    const plain = value.replaceAll('%%', '%')
    if (value.replaceAll('%%', '').includes('%'))
      faults.add(`${path}[${at}].header.value`, 'found a %COMMAND%, allowed a plain text')
    if (wanted === overwrites) into.set[key] = plain
    else if (wanted !== appends) faults.add(`${path}[${at}].append_action`, `found ${wanted}, allowed 0 and 2`)
    else if (key in into.add) faults.add(`${path}[${at}].header.key`, 'added twice')
    else into.add[key] = plain
  })
}

function shown(side: string, { add, remove, set }: Edits): object {
  const edits = {
    ...(Object.keys(set).length > 0 ? { set } : {}),
    ...(Object.keys(add).length > 0 ? { add } : {}),
    ...(remove.length > 0 ? { remove: [...new Set(remove)] } : {}),
  }
  return Object.keys(edits).length > 0 ? { [side]: edits } : {}
}

/** As a part of something; nothing where there are none. */
export function withHeaders(headers: HeaderEdits): object {
  return Object.keys(headers).length > 0 ? { headers } : {}
}
