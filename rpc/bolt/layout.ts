/**
 * Where the parts of a Bolt frame stand. Source: sofastack/sofa-bolt, `RpcCommandDecoder` and `RpcCommandDecoderV2`.
 *
 * | bytes | version 1 | version 2 |
 * |---|---|---|
 * | protocol (1 or 2) | 0 | 0 |
 * | version of the protocol | | 1 |
 * | type | 1 | 2 |
 * | command | 2 | 3 |
 * | version of the command | 4 | 5 |
 * | request id | 5 | 6 |
 * | serialization | 9 | 10 |
 * | switches; bit 0 = a CRC-32 ends the frame | | 11 |
 * | of a request its time-out (4 bytes), of a reply its status (2 bytes) | 10 | 12 |
 * | lengths of class (2), header (2) and content (4) | behind it | behind it |
 */
export const BoltType = { reply: 0, request: 1, oneWay: 2 } as const

/** 100 is what MOSN says when it leaves. */
export const BoltCommand = { heartbeat: 0, request: 1, reply: 2, goAway: 100 } as const

/** Of a reply (`ResponseStatus`). */
export const BoltStatus = {
  success: 0x00,
  error: 0x01,
  serverException: 0x02,
  unknown: 0x03,
  busy: 0x04,
  errorComm: 0x05,
  noProcessor: 0x06,
  timeout: 0x07,
  sendError: 0x08,
  codec: 0x09,
  connectionClosed: 0x10,
  serverSerial: 0x11,
  serverDeserial: 0x12,
} as const

export const crcBytes = 4

/** 1 in version 2: its own version stands behind the protocol. */
export function shiftOf(protocol: number): 0 | 1 {
  return protocol === 2 ? 1 : 0
}

/** Where the time-out or the status stands. */
export function restAt(shift: 0 | 1): number {
  return 10 + 2 * shift
}

/** Of the head with its three lengths. */
export function headBytes(shift: 0 | 1, type: number): number {
  return restAt(shift) + (type === BoltType.reply ? 2 : 4) + 8
}

/** A Bolt status in the words of HTTP, by which balancers and retries judge. */
export function httpStatusOfBolt(status: number): number {
  switch (status) {
    case BoltStatus.success:
      return 200
    case BoltStatus.busy:
    case BoltStatus.connectionClosed:
      return 503
    case BoltStatus.timeout:
      return 504
    case BoltStatus.noProcessor:
      return 404
    case BoltStatus.errorComm:
    case BoltStatus.sendError:
      return 502
    default:
      return 500
  }
}

/** What a caller in Bolt is told instead of a status of HTTP. */
export function boltStatusOf(httpStatus: number, code: string): number {
  if (httpStatus === 404) return BoltStatus.noProcessor
  if (httpStatus === 504 || httpStatus === 408) return BoltStatus.timeout
  if (httpStatus === 429 || code === 'E_OVERLOAD' || code === 'E_BALANCE_OVERFLOW') return BoltStatus.busy
  if (httpStatus === 502 || httpStatus === 503) return BoltStatus.connectionClosed
  if (httpStatus === 400) return BoltStatus.codec
  return BoltStatus.unknown
}
