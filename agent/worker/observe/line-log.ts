import { writeSync } from 'node:fs'

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof levels)[number]

export interface LineLog {
  write(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void
  /** False for a level that does not exist; nothing changes then. */
  setLevel(level: string): boolean
}

/**
 * Log lines of a worker, which begin like those of control and the watchdog (docs/operations.md), written at once to a
 * descriptor. A worker writes a handful in its life; control's logging library would cost more memory than everything
 * else of a worker but Node. A line that cannot be written is lost: a full disk behind stderr must not stop traffic.
 */
export function lineLog(descriptor: number, base: Readonly<Record<string, unknown>>): LineLog {
  let lowest = levels.indexOf('info')
  return {
    write(level, message, fields) {
      if (levels.indexOf(level) < lowest) return
      const time = new Date().toISOString()
      const line = JSON.stringify({
        level,
        time,
        process: 'worker',
        pid: process.pid,
        ...base,
        ...fields,
        msg: message,
      })
      try {
        writeSync(descriptor, `${line}\n`)
      } catch {
        // EAGAIN of a pipe that nobody reads, ENOSPC, EPIPE.
      }
    },
    setLevel(level) {
      const found = levels.indexOf(level as LogLevel)
      if (found < 0) return false
      lowest = found
      return true
    },
  }
}
