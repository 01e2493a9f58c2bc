/** Short words for codec tests: read a head from text, forward it as text. */
import { Head } from '../../../http1/head.ts'
import { HeadWriter } from '../../../http1/head-writer.ts'
import { readReply } from '../../../http1/read-reply.ts'
import { readRequest } from '../../../http1/read-request.ts'
import { StringCache } from '../../../http1/string-cache.ts'
import { Method } from '../../../http1/types.ts'
import type { ReplyPlan, RequestPlan } from '../../../http1/types.ts'
import { defaultLimits } from '../../../contracts/snapshot.ts'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import { replyPlan, requestPlan } from './plans.ts'

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** What `readRequest` answers for the whole text. */
export function requestResult(text: string, limits: LimitsSpec = defaultLimits): number {
  const input = bytes(text)
  return readRequest(new Head(new StringCache(), limits.maxFields), input, 0, input.length, limits)
}

export function requestHead(text: string, limits: LimitsSpec = defaultLimits): Head {
  const head = new Head(new StringCache(), limits.maxFields)
  const input = bytes(text)
  const result = readRequest(head, input, 0, input.length, limits)
  if (result <= 0) throw new Error(`no request head: ${result}`)
  return head
}

export function replyResult(text: string, method: Method = Method.get, upgradeAsked = false): number {
  const input = bytes(text)
  const head = new Head(new StringCache(), defaultLimits.maxFields)
  return readReply(head, input, 0, input.length, defaultLimits, method, upgradeAsked)
}

export function replyHead(text: string, method: Method = Method.get, upgradeAsked = false): Head {
  const head = new Head(new StringCache(), defaultLimits.maxFields)
  const input = bytes(text)
  const result = readReply(head, input, 0, input.length, defaultLimits, method, upgradeAsked)
  if (result <= 0) throw new Error(`no reply head: ${result}`)
  return head
}

/** GET / HTTP/1.1 with a Host and these field lines. */
export function get(fields = '', target = '/'): string {
  return `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
}

export function ok(fields = ''): string {
  return `HTTP/1.1 200 OK\r\n${fields}\r\n`
}

const out = Buffer.alloc(200_000)

export function forwardedRequest(text: string, plan: Partial<RequestPlan> = {}): string {
  const end = new HeadWriter('mesh').request(out, 0, requestHead(text), requestPlan(plan))
  return out.toString('latin1', 0, end)
}

export function forwardedReply(
  text: string,
  plan: Partial<ReplyPlan> = {},
  method: Method = Method.get,
  upgradeAsked = false,
): string {
  const end = new HeadWriter('mesh').reply(out, 0, replyHead(text, method, upgradeAsked), replyPlan(plan))
  return out.toString('latin1', 0, end)
}
