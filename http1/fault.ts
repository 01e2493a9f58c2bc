/**
 * Every way in which a message can be refused, as small negative numbers: reading code answers them without allocating
 * anything. All of them end the connection that the bad bytes came from: its framing is lost (RFC 9112 section 2.2).
 */
import type { ErrorCode } from '../contracts/errors.ts'

export interface HttpFault {
  /** Status for the caller when the fault is in a request; a faulty reply is always 502. */
  readonly status: number
  readonly code: ErrorCode
  /** The rule of `docs/http1.md` that was broken. */
  readonly rule: string
  /** Lower case, for logs and bodies. Holds no byte of the message. */
  readonly reason: string
}

export const Fault = {
  startLine: -1,
  version: -2,
  versionUnsupported: -3,
  target: -4,
  targetForm: -5,
  host: -6,
  hostMissing: -7,
  hostDuplicate: -8,
  lineEnd: -9,
  fieldName: -10,
  fieldValue: -11,
  spaceBeforeColon: -12,
  lineFolding: -13,
  lengthAndCoding: -14,
  contentLength: -15,
  transferCoding: -16,
  codingInOldVersion: -17,
  chunkSize: -18,
  chunkExtension: -19,
  chunkEnd: -20,
  trailer: -21,
  expectation: -22,
  method: -23,
  requestLineTooLong: -24,
  headTooLarge: -25,
  tooManyFields: -26,
  chunkLineTooLong: -27,
  chunkExtensionsTooLarge: -28,
  trailersTooLarge: -29,
  connection: -30,
  status: -31,
  switchNotAsked: -32,
  emptyLines: -33,
  traceBody: -34,
  codingUnknown: -35,
  http2Preface: -36,
  maxForwards: -37,
} as const
export type Fault = (typeof Fault)[keyof typeof Fault]

const badRequest = (rule: string, reason: string): HttpFault => ({
  status: 400,
  code: 'E_HTTP_BAD_REQUEST',
  rule,
  reason,
})

const faults: ReadonlyMap<number, HttpFault> = new Map<number, HttpFault>([
  [Fault.startLine, badRequest('R1', 'malformed start line')],
  [
    Fault.http2Preface,
    {
      status: 505,
      code: 'E_HTTP_VERSION',
      rule: 'R33',
      reason: 'the preface of HTTP/2 (prior knowledge, h2c) on a port for HTTP/1.1: let the caller use HTTP/1.1 here',
    },
  ],
  [Fault.version, badRequest('R2', 'malformed HTTP version')],
  [
    Fault.versionUnsupported,
    { status: 505, code: 'E_HTTP_VERSION', rule: 'R2', reason: 'HTTP major version other than 1' },
  ],
  [Fault.target, badRequest('R3', 'byte in the request target that is not allowed there')],
  [Fault.targetForm, badRequest('R4', 'form of the request target that does not fit the method')],
  [Fault.host, badRequest('R5', 'malformed host')],
  [Fault.hostMissing, badRequest('R5', 'no Host field')],
  [Fault.hostDuplicate, badRequest('R5', 'more than one Host field')],
  [Fault.maxForwards, badRequest('R18', 'more than one Max-Forwards field')],
  [Fault.lineEnd, badRequest('R7', 'line that does not end in CRLF')],
  [Fault.fieldName, badRequest('R8', 'malformed field name')],
  [Fault.fieldValue, badRequest('R8', 'control character in a field value')],
  [Fault.spaceBeforeColon, badRequest('R9', 'whitespace before the colon of a field')],
  [Fault.lineFolding, badRequest('R10', 'folded field line')],
  [Fault.lengthAndCoding, badRequest('R11', 'both Content-Length and Transfer-Encoding')],
  [Fault.contentLength, badRequest('R12', 'malformed or repeated Content-Length')],
  [Fault.transferCoding, badRequest('R13', 'Transfer-Encoding other than a single chunked')],
  // RFC 9112 section 6.1
  [
    Fault.codingUnknown,
    { status: 501, code: 'E_HTTP_BAD_REQUEST', rule: 'R13', reason: 'transfer coding that is not served here' },
  ],
  [Fault.codingInOldVersion, badRequest('R13', 'Transfer-Encoding in HTTP/1.0')],
  [Fault.chunkSize, badRequest('R14', 'malformed chunk size')],
  [Fault.chunkExtension, badRequest('R15', 'malformed chunk extension')],
  [Fault.chunkEnd, badRequest('R14', 'chunk data that does not end in CRLF')],
  [Fault.trailer, badRequest('R16', 'malformed trailer field')],
  [Fault.expectation, { status: 417, code: 'E_HTTP_EXPECTATION', rule: 'R22', reason: 'unknown expectation' }],
  [Fault.method, { status: 501, code: 'E_HTTP_METHOD', rule: 'R33', reason: 'method that is not served here' }],
  [
    Fault.requestLineTooLong,
    { status: 414, code: 'E_HTTP_URI_TOO_LONG', rule: 'R3', reason: 'request line longer than the limit' },
  ],
  [
    Fault.headTooLarge,
    { status: 431, code: 'E_HTTP_HEAD_TOO_LARGE', rule: 'R34', reason: 'head larger than the limit' },
  ],
  [
    Fault.tooManyFields,
    { status: 431, code: 'E_HTTP_HEAD_TOO_LARGE', rule: 'R34', reason: 'more fields than the limit' },
  ],
  [Fault.chunkLineTooLong, badRequest('R34', 'chunk line longer than the limit')],
  [Fault.chunkExtensionsTooLarge, badRequest('R15', 'more chunk extension bytes than the limit')],
  [Fault.trailersTooLarge, badRequest('R34', 'trailers larger than the limit')],
  [Fault.connection, badRequest('R17', 'malformed Connection field')],
  [Fault.status, badRequest('R1', 'malformed status code')],
  [Fault.switchNotAsked, badRequest('R21', '101 that nobody asked for')],
  // RFC 9110 section 9.3.8
  [Fault.traceBody, badRequest('R33', 'TRACE with a body')],
  [Fault.emptyLines, badRequest('R6', 'more than one empty line before the request')],
])

/**
 * Facts of a negative answer of the codec. For a fault in a reply the caller gets 502 with E_UPSTREAM_PROTOCOL,
 * whatever `status` says.
 */
export function httpFault(fault: number): HttpFault {
  const found = faults.get(fault)
  if (found === undefined) throw new RangeError(`${fault} is not a fault of the HTTP/1.1 codec`)
  return found
}
