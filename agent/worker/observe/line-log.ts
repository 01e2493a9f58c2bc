import { writeSync } from 'node:fs'

/** pino's numbers, so that one reader understands the lines of all our processes. */
const levels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const
export type LogLevel = keyof typeof levels

export interface LineLog {
  write(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void
  /** False for a level that does not exist; nothing changes then. */
  setLevel(level: string): boolean
}

/**
 * Log lines of a worker in pino's shape (`{"level":30,"time":…,…,"msg":…}`), written at once to a descriptor. A worker writes a handful in its life; the library itself would cost
 * more memory than everything else of a worker but Node. A line that cannot be written is lost: a full disk behind stderr must not stop traffic.
 */
export function lineLog(descriptor: number, base: Readonly<Record<string, unknown>>): LineLog {
  let lowest: number = levels.info
  return {
    write(level, message, fields) {
      if (levels[level] < lowest) return
      const line = JSON.stringify({ level: levels[level], time: Date.now(), ...base, ...fields, msg: message })
      try {
        writeSync(descriptor, `${line}\n`)
      } catch {
        // EAGAIN of a pipe that nobody reads, ENOSPC, EPIPE.
      }
    },
    setLevel(level) {
      if (!(level in levels)) return false
      lowest = levels[level as LogLevel]
      return true
    },
  }
}
