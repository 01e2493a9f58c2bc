/**
 * One line per finished request or TCP connection, as text or JSON, written in batches. Off: one boolean is read per request. On: lines gather in memory and go out every
 * 100 ms or at 64 KiB, whichever comes first, by one asynchronous write at a time.
 *
 * Sampled by `share`; requests with a response flag, an error code or a status of 500 and more are always written. Bound: 4 MiB waiting; beyond it lines are dropped and counted.
 */
import { close, open, write } from 'node:fs'

import type { ErrorCode } from '../../../contracts/errors.ts'
import type { AccessLogSpec } from '../../../contracts/snapshot.ts'
import type { Tallies } from './tallies.ts'

const flushMs = 100
const flushBytes = 64 * 1024
const maxWaitingBytes = 4 * 1024 * 1024

export interface AccessLogDeps {
  readonly random: () => number
  /** Epoch ms. */
  readonly wallClock: () => number
  readonly tallies: Tallies
  readonly warn: (message: string) => void
}

/** What is read of a finished request or connection. */
export interface LoggedRequest {
  readonly method: string
  readonly path: string
  readonly authority: string
  readonly status: number
  readonly code: ErrorCode | undefined
  readonly flag: string
  readonly durationMs: number
  readonly requestBytes: number
  readonly replyBytes: number
  readonly sourceAddress: string
  readonly sourceApp: string
  readonly upstreamId: string
  readonly upstreamCluster: string
  readonly routeName: string
  readonly listenerName: string
  readonly attempts: number
  readonly traceId: string
  readonly tier: string
  readonly protocol: string
}

export class AccessLog {
  isOn = false
  private readonly deps: AccessLogDeps
  private spec: AccessLogSpec = { format: 'off', path: '-', share: 1 }
  private lines: string[] = []
  private waitingBytes = 0
  private timer: NodeJS.Timeout | undefined
  private descriptor: number | undefined
  private isWriting = false
  private needsReopen = false

  constructor(deps: AccessLogDeps) {
    this.deps = deps
  }

  configure(spec: AccessLogSpec): void {
    const isSame = spec.format === this.spec.format && spec.path === this.spec.path
    this.spec = spec
    this.isOn = spec.format !== 'off'
    if (!isSame) this.reopen()
  }

  /** After a rotation: the next batch goes to a file opened anew. */
  reopen(): void {
    this.needsReopen = true
  }

  /** Whether this request is to be written; asked before its line is put together. */
  wants(request: { readonly status: number; readonly code: ErrorCode | undefined; readonly flag: string }): boolean {
    if (request.status >= 500 || request.code !== undefined || request.flag !== '-') return true
    return this.spec.share >= 1 || this.deps.random() < this.spec.share
  }

  write(request: LoggedRequest): void {
    const time = new Date(this.deps.wallClock()).toISOString()
    this.add(this.spec.format === 'json' ? jsonLine(time, request) : textLine(time, request))
  }

  private add(line: string): void {
    if (this.waitingBytes + line.length > maxWaitingBytes) {
      this.deps.tallies.droppedLogLines++
      return
    }
    this.lines.push(line)
    this.waitingBytes += line.length
    if (this.waitingBytes >= flushBytes) this.flush()
    else this.timer ??= setTimeout(() => this.flush(), flushMs)
  }

  /** Writes what waits. Called by itself; by the owner before the process ends. */
  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.isWriting || this.lines.length === 0) return
    this.isWriting = true
    const batch = this.lines.join('')
    this.lines = []
    this.waitingBytes = 0
    this.withDescriptor((descriptor) => {
      write(descriptor, batch, (error) => {
        this.isWriting = false
        if (error !== null) this.failed(error)
        if (this.lines.length > 0) this.timer ??= setTimeout(() => this.flush(), flushMs)
      })
    })
  }

  private withDescriptor(use: (descriptor: number) => void): void {
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
        this.isWriting = false
        this.failed(error)
        return
      }
      this.descriptor = descriptor
      use(descriptor)
    })
  }

  private failed(error: Error): void {
    this.deps.tallies.droppedLogLines++
    this.deps.warn(`access log ${this.spec.path}: ${error.message}; lines are lost until it can be written again`)
    this.needsReopen = true
  }

  close(): void {
    this.flush()
    clearTimeout(this.timer)
  }
}

/** Envoy's default format, with the mesh's own facts behind it. */
function textLine(time: string, r: LoggedRequest): string {
  return (
    `[${time}] "${r.method} ${clean(r.path)} ${r.protocol}" ${r.status} ${r.flag} ${r.code ?? '-'} ${r.requestBytes} ${r.replyBytes} ` +
    `${Math.round(r.durationMs)} "${r.sourceAddress}" "${r.sourceApp}" "${clean(r.authority)}" "${r.upstreamId}" "${r.upstreamCluster}" ` +
    `${r.routeName} ${r.listenerName} ${r.attempts} ${r.traceId === '' ? '-' : r.traceId} ${r.tier}\n`
  )
}

function jsonLine(time: string, r: LoggedRequest): string {
  return `${JSON.stringify({
    start_time: time,
    method: r.method,
    path: r.path,
    authority: r.authority,
    protocol: r.protocol,
    response_code: r.status,
    response_flags: r.flag,
    mesh_error: r.code ?? null,
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
    tier: r.tier,
  })}\n`
}

/** What a caller wrote must not end the quotes or the line (R32). */
function clean(text: string): string {
  return /["\\\r\n]/.test(text) ? text.replace(/["\\\r\n]/g, '?') : text
}
