/**
 * One byte per character, without the checks and the encoding look-up of `toString('latin1')`: Node's own fast path,
 * public on every Buffer since the first versions but missing in its types.
 */
interface Latin1Buffer {
  latin1Slice(start: number, end: number): string
  latin1Write(text: string, at: number): number
}

export function latin1Slice(buf: Buffer, start: number, end: number): string {
  return (buf as unknown as Latin1Buffer).latin1Slice(start, end)
}

/** Answers the number of bytes written; `text` holds one-byte characters only. */
export function latin1Write(buf: Buffer, text: string, at: number): number {
  return (buf as unknown as Latin1Buffer).latin1Write(text, at)
}
