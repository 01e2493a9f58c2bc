/**
 * Numbers that Nacos answers with (com.alibaba.nacos.api.exception.NacosException, ErrorCode, ResponseCode; seen on
 * 2.2.4 and 2.3.1).
 */

/** `resultCode` of a gRPC response. */
export const resultCodes = { success: 200, fail: 500 } as const

/** `errorCode` of a gRPC response that failed. */
export const grpcErrorCodes = {
  /** In an `ErrorResponse`: the server is starting or stopping. In a `ConfigQueryResponse`: no such document. */
  invalidServerStatus: 300,
  configNotFound: 300,
  /** The connection is not set up (yet, or any more): nothing was done. */
  unregistered: 301,
  noHandler: 302,
  /** In a `ConfigQueryResponse`: somebody writes the document at this moment; it can be read a moment later. */
  configBusy: 400,
  denied: 403,
} as const

/**
 * `code` of a v2 or v3 HTTP answer; v1 answers with the HTTP status alone, its heartbeat with `code` 10200 or 20404.
 */
export const httpCodes = {
  success: 0,
  v1Success: 10_200,
  /** Heartbeat for an instance that the server does not know: register again (v1 and v2). */
  v1InstanceNotFound: 20_404,
  /** The same in v3. */
  instanceNotFound: 21_003,
} as const
