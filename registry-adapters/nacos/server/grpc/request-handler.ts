/** The shape of a handled request. */
import type { Caller } from '../../../../guard/caller.ts'
import type { ClientConnection } from './connection.ts'

export type RequestBody = Readonly<Record<string, unknown>>

/** Answers the response's own fields; `resultCode` 200 is added. Throws or rejects with a NacosFault. */
export type RequestHandler = (connection: ClientConnection, body: RequestBody, caller: Caller) => Promise<RequestBody>

/** By request type. */
export type RequestHandlers = Readonly<Record<string, RequestHandler>>

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The text of a field; '' when it is absent or something else. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
