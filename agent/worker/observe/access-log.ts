/**
 * One line per finished request or TCP connection, as text or JSON, written in batches. Off: one boolean is read per
 * request. On: lines gather in memory and go out every 100 ms or at 64 KiB, whichever comes first, by one asynchronous
 * write at a time. Text lines are put together as bytes: a string per line cost twice as much.
 *
 * Sampled by `share`; requests with a response flag, an error code, a status of 500 and more, or a word of a policy are
 * always written.
 * Bound: two buffers of 2 MiB, one that is written and one that fills; when both are full lines are dropped and
 * counted. So are those of a batch that cannot be written; the log of the worker says so once in a while.
 */
import { close, open, write } from 'node:fs'

import { defaultLogFormat } from '../../../contracts/access-log-format.ts'
import { LogPause } from '../../../contracts/log-pause.ts'
import type { AccessLogSpec } from '../../../contracts/snapshot.ts'
import { LineBuffer } from './line-buffer.ts'
import type { LoggedRequest } from './logged-request.ts'
import type { LogRecords } from './telemetry/log-records.ts'
import type { Tallies } from './tallies.ts'
import { TextLine } from './text-line.ts'

const flushMs = 100
const flushBytes = 64 * 1024
const bufferBytes = 2 * 1024 * 1024

export interface AccessLogDeps {
  readonly random: () => number
  /** Epoch ms. */
  readonly wallClock: () => number
  readonly tallies: Tallies
  /** Where lines go that are exported, too. */
  readonly records: Pick<LogRecords, 'isOn' | 'write'>
  readonly warn: (message: string) => void
}

/** What decides whether a line is written. */
export type LogHint = Pick<LoggedRequest, 'status' | 'code' | 'flag' | 'notes'>

export class AccessLog {
  isOn = false
  /** Names of the fields that a reply is to be asked for while its head is there; empty for most formats. */
  replyFields: readonly string[] = []
  private readonly deps: AccessLogDeps
  private spec: AccessLogSpec = { format: 'off', path: '-', share: 1 }
  private text = new TextLine('', '')
  /** Empty until the log is switched on for the first time. */
  private lines = new LineBuffer(0)
  private spare = new LineBuffer(0)
  private timedAt = 0
  private time = ''
  private timer: NodeJS.Timeout | undefined
  private descriptor: number | undefined
  private isWriting = false
  private needsReopen = false
  private readonly warnings = new LogPause()
  private onWritten: (() => void) | undefined

  constructor(deps: AccessLogDeps) {
    this.deps = deps
  }

  /** `host`: this node's name, for HOSTNAME. */
  configure(spec: AccessLogSpec, host: string): void {
    const isSame = spec.format === this.spec.format && spec.path === this.spec.path
    this.spec = spec
    const isWritten = spec.format !== 'off'
    this.deps.records.isOn = spec.isExported === true
    this.isOn = isWritten || this.deps.records.isOn
    this.text = new TextLine(spec.textFormat ?? defaultLogFormat, host)
    this.replyFields = spec.format === 'text' ? this.text.replyFields : []
    if (isWritten && this.lines.bytes.length === 0) {
      this.lines = new LineBuffer(bufferBytes)
      this.spare = new LineBuffer(bufferBytes)
    }
    if (!isSame) this.reopen()
  }

  /** After a rotation: the next batch goes to a file opened anew. */
  reopen(): void {
    this.needsReopen = true
  }

  /** Whether this request is to be written; asked before its line is put together. */
  wants(request: LogHint): boolean {
    const { code, flag, notes, status } = request
    if (status >= 500 || code !== undefined || flag !== '-' || notes !== '') return true
    return this.spec.share >= 1 || this.deps.random() < this.spec.share
  }

  write(request: LoggedRequest): void {
    const { records } = this.deps
    if (records.isOn) records.write(request)
    if (this.spec.format === 'off') return
    const now = Math.floor(this.deps.wallClock() - request.durationMs)
    if (now !== this.timedAt) {
      this.timedAt = now
      this.time = new Date(now).toISOString()
    }
    if (this.spec.format === 'json') {
      const line = Buffer.from(jsonLine(this.time, request))
      if (this.makeRoom(line.length)) {
        line.copy(this.lines.bytes, this.lines.length)
        this.lines.length += line.length
      }
    } else if (this.makeRoom(this.text.prepare(request, this.time))) {
      this.text.write(this.lines)
    }
    if (this.lines.length >= flushBytes) this.flush()
    else this.timer ??= setTimeout(() => this.flush(), flushMs)
  }

  private makeRoom(count: number): boolean {
    if (this.lines.hasRoom(count)) return true
    this.flush()
    if (this.lines.hasRoom(count)) return true
    this.deps.tallies.droppedLogLines++
    return false
  }

  /** Writes what waits. Called by itself; `written` is for the end of the process. */
  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.isWriting || this.lines.length === 0) return
    this.isWriting = true
    const batch = this.lines
    this.lines = this.spare
    this.spare = batch
    this.withDescriptor(batch, (descriptor) => this.writeBatch(descriptor, batch, 0))
  }

  /** A pipe may take less than it is given. */
  private writeBatch(descriptor: number, batch: LineBuffer, from: number): void {
    write(descriptor, batch.bytes, from, batch.length - from, null, (error, written) => {
      if (error === null && from + written < batch.length) {
        this.writeBatch(descriptor, batch, from + written)
        return
      }
      if (error !== null) this.failed(error, batch, from)
      this.ended(batch)
    })
  }

  /** It is written, or lost. */
  private ended(batch: LineBuffer): void {
    this.isWriting = false
    batch.length = 0
    if (this.lines.length === 0) this.onWritten?.()
    else if (this.onWritten !== undefined) this.flush()
    else this.timer ??= setTimeout(() => this.flush(), flushMs)
  }

  private withDescriptor(batch: LineBuffer, use: (descriptor: number) => void): void {
    if (this.spec.path === '-') {
      use(1)
      return
    }
    if (this.needsReopen && this.descriptor !== undefined) {
      close(this.descriptor, () => {})
      this.descriptor = undefined
    }
    this.needsReopen = false
    if (this.descriptor !== undefined) {
      use(this.descriptor)
      return
    }
    open(this.spec.path, 'a', 0o640, (error, descriptor) => {
      if (error !== null) {
        this.failed(error, batch, 0)
        this.ended(batch)
        return
      }
      this.descriptor = descriptor
      use(descriptor)
    })
  }

  /** @param from what of the batch is not written. */
  private failed(error: Error, batch: LineBuffer, from: number): void {
    const { path } = this.spec
    this.deps.tallies.droppedLogLines += batch.linesFrom(from)
    this.needsReopen = true
    if (this.warnings.allows(this.deps.wallClock(), path))
      this.deps.warn(`access log ${path}: ${error.message}; lines are lost until it can be written again`)
  }

  /** Before the process ends. Resolves when every line that came is written, or lost; after `ms` in any case. */
  async written(ms: number): Promise<void> {
    this.flush()
    if (!this.isWriting) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.deps.warn(`access log ${this.spec.path}: its last lines were not written in ${ms} ms and are lost`)
        resolve()
      }, ms)
      this.onWritten = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  close(): void {
    this.flush()
    clearTimeout(this.timer)
  }
}

function jsonLine(time: string, r: LoggedRequest): string {
  return `${JSON.stringify({
    start_time: time,
    method: r.method,
    path: r.path,
    authority: r.authority,
    protocol: r.protocol,
    stream_id: r.streamId === 0 ? null : r.streamId,
    response_code: r.status,
    grpc_status: r.grpcStatus < 0 ? null : r.grpcStatus,
    response_flags: r.flag,
    mesh_error: r.code ?? null,
    response_code_details: r.details === '' ? null : r.details,
    authorization: r.notes === '' ? null : r.notes,
    bytes_received: r.requestBytes,
    bytes_sent: r.replyBytes,
    duration: Math.round(r.durationMs * 1000) / 1000,
    downstream_remote_address: r.sourceAddress,
    source_app: r.sourceApp,
    upstream_host: r.upstreamId,
    upstream_cluster: r.upstreamCluster,
    route_name: r.routeName,
    listener: r.listenerName,
    upstream_request_attempt_count: r.attempts,
    trace_id: r.traceId,
    request_id: r.header('x-request-id') ?? null,
    tier: r.tier,
  })}\n`
}
