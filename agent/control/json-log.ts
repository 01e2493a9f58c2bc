import { writeSync } from 'node:fs'
import pino from 'pino'
import type { DestinationStream, Logger } from 'pino'
import { loadNative } from '../../native/descriptors.ts'
import { journalStream } from '../../native/journal.ts'

/**
 * Standard output, with fields where that is systemd's journal. A line that cannot be written is lost, as with the
 * workers: a full disk behind standard output must not end control.
 */
function standardOutput(): DestinationStream {
  const journal = process.env['JOURNAL_STREAM'] ? journalStream(1, process.env, loadNative().native) : undefined
  return {
    write(line) {
      if (journal?.take(line) === true) return
      try {
        writeSync(1, line)
      } catch {
        // EAGAIN of a pipe that nobody reads, ENOSPC, EPIPE
      }
    },
  }
}

/**
 * Control's log: JSON lines that begin like those of the watchdog and the workers (docs/operations.md), on standard
 * output, written before the call returns.
 */
export function jsonLog(
  level: string,
  base: Readonly<Record<string, unknown>>,
  destination: DestinationStream = standardOutput(),
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
