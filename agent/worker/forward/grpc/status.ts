/**
 * Statuses of gRPC, and what stands for them in HTTP. Sources: grpc/grpc doc/statuscodes.md and
 * doc/http-grpc-status-mapping.md; the way back is Envoy's (`grpcToHttpStatus`).
 */

export const GrpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const

/** By what a balancer judges its endpoint: 500 and more are the endpoint's failures. */
const httpStatuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401] as const

/** `status`: of gRPC; one that is not known counts as UNKNOWN. */
export function httpStatusOf(status: number): number {
  return httpStatuses[status] ?? 500
}

/** What a caller of gRPC is told instead of a status of HTTP. */
export function grpcStatusOf(httpStatus: number): number {
  switch (httpStatus) {
    case 200:
      return GrpcStatus.ok
    case 400:
      return GrpcStatus.internal
    case 401:
      return GrpcStatus.unauthenticated
    case 403:
      return GrpcStatus.permissionDenied
    case 404:
      return GrpcStatus.unimplemented
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus.unavailable
    default:
      return GrpcStatus.unknown
  }
}

/**
 * Of the field `grpc-status`; -1 = absent. What is no status of gRPC is UNKNOWN, as clients read it: each becomes a
 * series of metrics, and an endpoint may say any number.
 */
export function readGrpcStatus(text: string | undefined): number {
  if (text === undefined) return -1
  return /^\d{1,2}$/.test(text) && Number(text) < httpStatuses.length ? Number(text) : GrpcStatus.unknown
}

const percent = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`

/** The value of `grpc-message`: UTF-8, percent-encoded outside 0x20..0x7e. */
export function writeGrpcMessage(text: string): string {
  if (/^[ !-$&-~]*$/.test(text)) return text
  let message = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    message += byte < 0x20 || byte > 0x7e || byte === 0x25 ? percent(byte) : String.fromCharCode(byte)
  }
  return message
}
