/**
 * Log lines to systemd's journal with their fields, where standard output is a stream of the journal: `journalctl -u
 * hostmesh HOSTMESH_PROCESS=worker -p warning` then finds what a line of JSON would hide. Source: systemd.exec(5) for
 * `JOURNAL_STREAM`, systemd.journal-fields(7), and systemd's docs/JOURNAL_NATIVE_PROTOCOL.md.
 */
import { fstatSync } from 'node:fs'
import type { Native } from './descriptors.ts'

const journalSocket = '/run/systemd/journal/socket'
/** syslog(3); a level that is not here counts as `info`. */
const priorities: Readonly<Record<string, number>> = { trace: 7, debug: 7, info: 6, warn: 4, error: 3, fatal: 2 }
/** The journal's own bound on a field's name. */
const maxNameLength = 64

export interface JournalStream {
  /**
   * Sends one line of JSON as an entry, in the order of calls. False when the journal did not take it (it is gone or
   * full, or the entry is over 4 KiB) or the line is no JSON object: the caller writes it as it is.
   */
  take(line: string): boolean
}

/**
 * The journal behind a descriptor of this process; undefined when another sink is there: a terminal, a file, a pipe, or
 * a journal that an ancestor had.
 *
 * @param socket Where the journal listens; tests have one of their own.
 */
export function journalStream(
  descriptor: number,
  environment: { readonly JOURNAL_STREAM?: string | undefined },
  native: Native | undefined,
  socket = journalSocket,
): JournalStream | undefined {
  const named = environment.JOURNAL_STREAM
  if (named === undefined || named === '' || native === undefined) return undefined
  const { dev, ino } = fstatSync(descriptor, { bigint: true })
  if (named !== `${dev}:${ino}`) return undefined
  return {
    take(line) {
      const entry = journalEntry(line)
      return entry !== undefined && native.sendTo(socket, entry, []) === 'sent'
    },
  }
}

/** A line of JSON in the journal's native form; undefined when it is none. */
export function journalEntry(line: string): Buffer | undefined {
  let record: unknown
  try {
    record = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof record !== 'object' || record === null || Array.isArray(record)) return undefined
  const { level, msg, time: _, ...fields } = record as Record<string, unknown>
  if (typeof msg !== 'string') return undefined
  const code = /^E_[A-Z0-9_]+/.exec(msg)?.[0]
  const entry = [
    field('MESSAGE', msg),
    field('PRIORITY', String(priorities[String(level)] ?? priorities['info']!)),
    field('SYSLOG_IDENTIFIER', 'hostmesh'),
    // the watchdog passes on what workers write: the journal's own _PID is then the watchdog's
    ...(typeof fields['pid'] === 'number' ? [field('SYSLOG_PID', String(fields['pid']))] : []),
    ...(code === undefined ? [] : [field('HOSTMESH_CODE', code)]),
  ]
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || name === 'pid' || (name === 'code' && code !== undefined)) continue
    entry.push(field(journalName(name), typeof value === 'string' ? value : JSON.stringify(value)))
  }
  return Buffer.concat(entry)
}

/** `drainedMs` becomes `HOSTMESH_DRAINED_MS`. */
function journalName(name: string): string {
  const words = name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replace(/[^A-Za-z0-9]+/g, '_')
  return `HOSTMESH_${words.toUpperCase()}`.slice(0, maxNameLength)
}

/** One line for a value of one line, else name, length (64 bits, little endian) and bytes. */
function field(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`)
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(bytes.length))
  return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n')])
}
