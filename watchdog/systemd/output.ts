/** Where the watchdog's own lines, and those that its children wrote to standard error, go. */
import type { JournalStream } from '../../native/journal.ts'

/**
 * Passes whole lines to the journal with their fields, and everything else (no journal there, text that is no line of a
 * log such as Node's own words at a crash, a part of a line) on as it is, in order.
 */
export function outputTo(
  journal: JournalStream | undefined,
  write: (bytes: Buffer | string) => void,
): (bytes: Buffer | string) => void {
  if (journal === undefined) return write
  return (bytes) => {
    for (const line of bytes.toString().split(/(?<=\n)/)) if (!line.endsWith('\n') || !journal.take(line)) write(line)
  }
}
