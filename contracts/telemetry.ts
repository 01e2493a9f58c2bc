/**
 * What a worker tells its control of single requests, over a stream socket of its own beside the control link, one way.
 * A frame holds finished records of OpenTelemetry (OTLP protobuf), so that control sends them on without looking into
 * them:
 *
 * 4 bytes big-endian length of the rest, 1 byte signal, then groups of records that belong to one service:
 * 1 byte length of the name, the name (latin1), 4 bytes count of records, 4 bytes length of the records when they are
 * whole, 4 bytes length of what follows, the records in short form.
 *
 * A record is an entry of `ScopeSpans.spans` or `ScopeLogs.log_records`. In short form, the part that is the same in
 * many of them stands in the group once: 4 bytes where it stands (from the first record of the group on), 4 bytes its
 * length (0 = there is none), 4 bytes length of the record's own part; behind the head of the first record that has it
 * the shared part, then the own part. Whole, it is tag, length (a varint of three bytes), shared part, own part: such
 * entries behind each other are a valid list.
 */
export const signals = ['traces', 'logs'] as const
export type Signal = (typeof signals)[number]

/** Largest frame, in bytes without its length. */
export const maxTelemetryFrameBytes = 1024 * 1024

/** Of a frame, without the length. */
export const frameHeadBytes = 5
/** Of a group, beside its name. */
export const groupHeadBytes = 13
/** Of a record in short form. */
export const shortHeadBytes = 12
/** Of a whole record: field 2, with a length, and that length. */
export const recordTag = 0x12
export const recordHeadBytes = 4
export const longestRecordBytes = 2 ** 21 - 1

/** Which fields carry a trace to the next process: W3C `traceparent`, the four `x-b3-*`, or the one `b3`. */
export const traceFormats = ['w3c', 'b3', 'b3single'] as const
export type TraceFormat = (typeof traceFormats)[number]
