/**
 * Names that the codec or the road treats specially, known by a small number from the moment their line is read.
 * Look-up: a hash of length, first and last byte, then a comparison; unknown names cost one table read.
 */

export const Field = {
  /** Any name not listed here. */
  other: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  keepAlive: 5,
  proxyConnection: 6,
  te: 7,
  trailer: 8,
  upgrade: 9,
  http2Settings: 10,
  expect: 11,
  via: 12,
  maxForwards: 13,
  authorization: 14,
  proxyAuthorization: 15,
  proxyAuthenticate: 16,
  cookie: 17,
  setCookie: 18,
  contentType: 19,
  contentEncoding: 20,
  contentRange: 21,
  cacheControl: 22,
  date: 23,
  userAgent: 24,
  origin: 25,
  xRequestId: 26,
  traceparent: 27,
  tracestate: 28,
  b3: 29,
  xB3TraceId: 30,
  xForwardedFor: 31,
  grpcTimeout: 32,
  retryAfter: 33,
  /** Request fields of the mesh (R36: all removed before forwarding, look-alikes with `_` too). */
  xMeshService: 34,
  xMeshFallback: 35,
  xMeshSource: 36,
  /** Any other `x-mesh-*`, and every look-alike that is spelt with `_`. */
  xMeshOther: 37,
  /** `x-forwarded-client-cert` and its look-alikes. */
  xForwardedClientCert: 38,
} as const
export type Field = (typeof Field)[keyof typeof Field]
