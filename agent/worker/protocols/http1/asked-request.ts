import type { ExplainRequest } from '../../../../contracts/control-link.ts'
import type { LimitsSpec } from '../../../../contracts/snapshot.ts'
import { Fault, httpFault } from '../../../../http1/fault.ts'
import type { HttpFault } from '../../../../http1/fault.ts'
import { readRequest } from '../../../../http1/read-request.ts'
import { StringCache } from '../../../../http1/string-cache.ts'
import { Http1Request } from './request-message.ts'
import type { Caller } from '../caller.ts'

/**
 * The request that somebody asks about, written down and read as it would be from a caller: what is refused there is
 * refused here. Without a host it is one of HTTP/1.0, which may lack it. Text outside ASCII is sent as UTF-8.
 */
export function askedRequest(asked: ExplainRequest, caller: Caller, limits: LimitsSpec): Http1Request | HttpFault {
  const { headers, host, method, path } = asked
  const lines = [
    `${method} ${path} ${host === '' ? 'HTTP/1.0' : `HTTP/1.1\r\nHost: ${host}`}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ]
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8')
  const request = new Http1Request(new StringCache(), limits.maxFields)
  request.caller = caller
  const taken = readRequest(request.head, bytes, 0, bytes.length, limits)
  // an empty line inside what was asked ends the head early; too little of one cannot be
  if (taken <= 0) return httpFault(taken === 0 ? Fault.startLine : taken)
  return request
}
