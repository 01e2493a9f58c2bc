/** A request and an answer of the HTTP interface, apart from sockets. */
import type { Caller } from '../../../../guard/caller.ts'
import { asFault, NacosFault } from '../fault.ts'

export interface NacosRequest {
  readonly method: string
  /** Without the context path: `/v1/ns/instance`. */
  readonly path: string
  /** Query and form fields; the query wins. */
  readonly params: URLSearchParams
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly caller: Caller
  /** Fires when the client went away. */
  readonly signal: AbortSignal
}

export interface NacosAnswer {
  readonly status: number
  readonly type: 'text/plain;charset=UTF-8' | 'application/json;charset=UTF-8'
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Handler = (request: NacosRequest) => Promise<NacosAnswer>

/** By `METHOD /path`. */
export type Routes = Readonly<Record<string, Handler>>

export function text(body: string, status = 200): NacosAnswer {
  return { status, type: 'text/plain;charset=UTF-8', body }
}

export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): NacosAnswer {
  return { status, type: 'application/json;charset=UTF-8', body: JSON.stringify(value), headers }
}

/** The wrapping of v2 and v3. */
export function result(data: unknown): NacosAnswer {
  return json({ code: 0, message: 'success', data })
}

/** v1 answers faults as text. */
export function textFault(error: unknown): NacosAnswer {
  const fault = asFault(error)
  return text(fault.message, fault.http)
}

/** v2 and v3 answer faults as JSON with a code. */
export function resultFault(error: unknown): NacosAnswer {
  const fault = asFault(error)
  return json({ code: fault.v2, message: fault.message, data: null }, fault.http)
}

export function param(request: NacosRequest, name: string): string | undefined {
  return request.params.get(name) ?? undefined
}

export function required(request: NacosRequest, name: string): string {
  const value = param(request, name)
  if (value === undefined) throw new NacosFault('parameter-missing', `Param '${name}' is required.`)
  return value
}

/** A whole number in a range; absent = `otherwise`. */
export function wholeNumber(request: NacosRequest, name: string, otherwise: number, from: number, to: number): number {
  const value = param(request, name)
  if (value === undefined || value === '') return otherwise
  const number = Number(value)
  if (!Number.isInteger(number) || number < from || number > to) {
    throw new NacosFault(
      'parameter-invalid',
      `Param '${name}' is illegal, the value should be between ${from} and ${to}.`,
    )
  }
  return number
}
