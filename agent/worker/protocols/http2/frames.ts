/** Words of the wire (RFC 9113). */
import type { Output } from '../../transport/output.ts'

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const Flag = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

/** Section 7. */
export const H2Error = {
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  flowControl: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSize: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compression: 0x9,
  connect: 0xa,
  enhanceYourCalm: 0xb,
  inadequateSecurity: 0xc,
  http11Required: 0xd,
} as const
export type H2Error = (typeof H2Error)[keyof typeof H2Error]

const errorNames: readonly string[] = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
]

/** For logs and reasons. */
export function errorName(code: number): string {
  return errorNames[code] ?? `0x${code.toString(16)}`
}

export const Setting = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
  /** RFC 8441. */
  enableConnectProtocol: 0x8,
} as const

export const preface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
export const frameHeaderBytes = 9
export const defaultFrameBytes = 16_384
export const largestFrameBytes = 0xffffff
export const defaultWindow = 65_535
export const largestWindow = 0x7fffffff
export const largestStreamId = 0x7fffffff

/** Writes the nine bytes of a frame's head. */
export function writeFrameHead(out: Output, length: number, type: number, flags: number, streamId: number): void {
  out.room(frameHeaderBytes)
  putFrameHead(out.bytes, out.length, length, type, flags, streamId)
  out.length += frameHeaderBytes
}

/** The same at a place that was left free. */
export function putFrameHead(
  bytes: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  bytes[at] = length >>> 16
  bytes[at + 1] = length >>> 8
  bytes[at + 2] = length
  bytes[at + 3] = type
  bytes[at + 4] = flags
  putWord(bytes, at + 5, streamId)
}

function putWord(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

function writeWord(out: Output, value: number): void {
  out.room(4)
  putWord(out.bytes, out.length, value)
  out.length += 4
}

/** Unsigned. */
export function readWord(bytes: Buffer, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

export function writeSettings(out: Output, settings: readonly (readonly [id: number, value: number])[]): void {
  writeFrameHead(out, settings.length * 6, FrameType.settings, 0, 0)
  for (const [id, value] of settings) {
    out.room(6)
    out.bytes[out.length++] = id >>> 8
    out.bytes[out.length++] = id
    writeWord(out, value)
  }
}

export function writeSettingsAck(out: Output): void {
  writeFrameHead(out, 0, FrameType.settings, Flag.ack, 0)
}

/** `bytes[at..at+8)`: what the ping carries. */
export function writePing(out: Output, bytes: Buffer, at: number, isAck: boolean): void {
  writeFrameHead(out, 8, FrameType.ping, isAck ? Flag.ack : 0, 0)
  out.copy(bytes, at, at + 8)
}

export function writeGoAway(out: Output, lastStreamId: number, code: number, why: string): void {
  writeFrameHead(out, 8 + why.length, FrameType.goAway, 0, 0)
  writeWord(out, lastStreamId)
  writeWord(out, code)
  out.latin1(why)
}

export function writeReset(out: Output, streamId: number, code: number): void {
  writeFrameHead(out, 4, FrameType.rstStream, 0, streamId)
  writeWord(out, code)
}

export function writeWindowUpdate(out: Output, streamId: number, bytes: number): void {
  writeFrameHead(out, 4, FrameType.windowUpdate, 0, streamId)
  writeWord(out, bytes)
}
