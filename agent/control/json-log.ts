import pino from 'pino'
import type { DestinationStream, Logger } from 'pino'

/** Control's log: JSON lines that begin like those of the watchdog and the workers (docs/operations.md), on standard output, written before the call returns. */
export function jsonLog(
  level: string,
  base: Readonly<Record<string, unknown>>,
  destination: DestinationStream = pino.destination({ fd: 1, sync: true }),
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
