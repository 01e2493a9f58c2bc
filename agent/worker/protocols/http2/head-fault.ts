import type { RequestFault } from '../../forward/streams.ts'

const malformed = (reason: string): RequestFault => ({ status: 400, code: 'E_HTTP_BAD_REQUEST', reason })
const tooLarge = (reason: string): RequestFault => ({ status: 431, code: 'E_HTTP_HEAD_TOO_LARGE', reason })

/** What can be wrong with a header block that could be decoded: RFC 9113 section 8, R40, and our bounds. */
export const headFaults = {
  name: malformed('malformed field name'),
  value: malformed('byte in a field value that is not allowed there'),
  pseudoName: malformed('pseudo field that does not exist or does not belong here'),
  pseudoOrder: malformed('pseudo field behind other fields'),
  pseudoTwice: malformed('pseudo field given twice'),
  pseudoMissing: malformed('pseudo field missing, or empty'),
  connection: malformed('field of a connection of HTTP/1.1'),
  te: malformed('TE other than trailers'),
  method: malformed('malformed method'),
  scheme: malformed('malformed scheme'),
  path: malformed('malformed path'),
  host: malformed('malformed host'),
  hostTwice: malformed('more than one Host field'),
  hostDiffers: malformed('Host differs from :authority'),
  contentLength: malformed('malformed or repeated Content-Length'),
  contentDiffers: malformed('content of another length than Content-Length says'),
  status: malformed('malformed status code'),
  switching: malformed('101, which this protocol does not know'),
  trace: { status: 501, code: 'E_HTTP_METHOD', reason: 'TRACE is not served here' },
  connect: { status: 501, code: 'E_HTTP_METHOD', reason: 'CONNECT is served for WebSockets only' },
  trailers: malformed('trailers that do not end the message, or hold pseudo fields'),
  bytes: tooLarge('head larger than the limit'),
  fields: tooLarge('more fields than the limit'),
  target: { status: 414, code: 'E_HTTP_URI_TOO_LONG', reason: 'target longer than the limit' },
} as const satisfies Record<string, RequestFault>
