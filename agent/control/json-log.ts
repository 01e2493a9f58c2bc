import { writeSync } from 'node:fs'
import pino from 'pino'
import type { DestinationStream, Logger } from 'pino'

/**
 * A line that cannot be written is lost, as with the workers: a full disk behind standard output must not end control.
 */
const standardOutput: DestinationStream = {
  write(line) {
    try {
      writeSync(1, line)
    } catch {
      // EAGAIN of a pipe that nobody reads, ENOSPC, EPIPE
    }
  },
}

/**
 * Control's log: JSON lines that begin like those of the watchdog and the workers (docs/operations.md), on standard
 * output, written before the call returns.
 */
export function jsonLog(
  level: string,
  base: Readonly<Record<string, unknown>>,
  destination: DestinationStream = standardOutput,
): Logger {
  return pino(
    {
      level,
      base: { process: 'control', pid: process.pid, ...base },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
}
