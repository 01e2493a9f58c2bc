/** The field `grpc-timeout` (grpc/grpc doc/PROTOCOL-HTTP2.md): at most eight digits and a unit. */

/** Ms of each unit. */
const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 }

/** Ms; -1 = absent, or no time-out at all: such a call has no deadline, as with any other proxy. */
export function readGrpcTimeout(text: string | undefined): number {
  if (text === undefined || text.length < 2 || text.length > 9) return -1
  const unit = units[text.charAt(text.length - 1)]
  if (unit === undefined) return -1
  for (let at = 0; at < text.length - 1; at++) {
    const digit = text.charCodeAt(at)
    if (digit < 0x30 || digit > 0x39) return -1
  }
  return Number(text.slice(0, -1)) * unit
}

const mostDigits = 99_999_999

/** Never more than `ms`, and never 0: a deadline that is over is told as the shortest one. */
export function writeGrpcTimeout(ms: number): string {
  const whole = Math.floor(ms)
  if (whole < 1) return `${Math.max(1, Math.floor(ms * 1000))}u`
  if (whole <= mostDigits) return `${whole}m`
  const seconds = Math.floor(whole / 1000)
  if (seconds <= mostDigits) return `${seconds}S`
  return `${Math.min(mostDigits, Math.floor(seconds / 3600))}H`
}
