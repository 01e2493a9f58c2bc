/**
 * JSON lines on standard output, one per event, that begin like those of control and the workers (docs/operations.md).
 * Fields never hold secrets: the watchdog knows none.
 */

export type LogLevel = 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void

export function jsonLog(write: (line: string) => void, now: () => number): Log {
  return (level, message, fields) => {
    const time = new Date(now()).toISOString()
    write(`${JSON.stringify({ level, time, process: 'watchdog', pid: process.pid, ...fields, msg: message })}\n`)
  }
}
