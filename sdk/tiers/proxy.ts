/**
 * One address that serves many: the agent's port, a center. It is probed, and only that decides
 * whether it is used, never what an application behind it answers. It is left at once when it refuses, after two
 * questions without an answer when it is silent. It is used again when it has answered for a while, longer each time it
 * fell again soon after a return.
 */
import type { Clock } from '../../contracts/clock.ts'

export type ProxyState = 'unknown' | 'up' | 'down'

/** What became of a question. */
export type ProbeResult = 'answered' | 'silent' | 'refused'

export interface MeshProxyDeps {
  readonly clock: Clock
  /** Never rejects; takes at most some seconds. */
  readonly ask: () => Promise<ProbeResult>
  readonly onChange: (proxy: MeshProxy) => void
}

/** Between two questions, ms: while its state may change what happens to calls, and while nobody would notice. */
export const busyMs = 1000
const calmMs = 10_000
/** Questions in a row without an answer that show a proxy to be dead. */
const silencesNeeded = 2
/** It must have answered for so long before it is used again, ms; doubled for each fall soon after a return. */
export const dampMinMs = 2000
const dampMaxMs = 60_000
/** A proxy that stood for so long has no past, ms. */
const forgivenMs = 120_000

export class MeshProxy {
  /** `127.0.0.1:15001` */
  readonly address: string
  private readonly deps: MeshProxyDeps
  private now: ProxyState = 'unknown'
  private silences = 0
  private answeringSince: number | undefined
  private returnedAt: number | undefined
  private dampMs = dampMinMs
  private cancel: (() => void) | undefined
  private isAsking = false
  private isCalm = false
  private isClosed = false
  /** Ended when the proxy falls: calls that are under way at a silent one. */
  private readonly waiting = new Set<() => void>()

  constructor(address: string, deps: MeshProxyDeps) {
    this.address = address
    this.deps = deps
  }

  get state(): ProxyState {
    return this.now
  }

  /** Worth a call: one of which nothing is known yet may be tried. */
  get isUsable(): boolean {
    return this.now !== 'down'
  }

  /** How long it has to answer before it is used again, ms. */
  get damping(): number {
    return this.dampMs
  }

  /** Begins to ask, or asks in the other rhythm from now on. */
  watch(isCalm: boolean): void {
    if (this.isClosed || (this.cancel !== undefined && this.isCalm === isCalm)) return
    this.isCalm = isCalm
    if (!this.isAsking) void this.ask()
  }

  /** A call found nobody at the address. */
  refused(): void {
    if (this.isClosed) return
    this.fall()
    // not at once: many calls may say so in one moment
    if (!this.isAsking) this.schedule(busyMs / 4)
  }

  /** Calls `end` when the proxy falls; the answer takes that back. */
  whenDown(end: () => void): () => void {
    this.waiting.add(end)
    return () => this.waiting.delete(end)
  }

  close(): void {
    this.isClosed = true
    this.cancel?.()
    this.waiting.clear()
  }

  private async ask(): Promise<void> {
    this.isAsking = true
    this.cancel?.()
    const result = await this.deps.ask()
    this.isAsking = false
    if (this.isClosed) return
    if (result === 'answered') this.answered()
    else if (result === 'refused' || ++this.silences >= silencesNeeded) this.fall()
    this.schedule(this.isCalm && this.now === 'up' && this.silences === 0 ? calmMs : busyMs)
  }

  private schedule(ms: number): void {
    this.cancel?.()
    this.cancel = this.deps.clock.after(ms, () => void this.ask())
  }

  private answered(): void {
    this.silences = 0
    const now = this.deps.clock.monotonic()
    if (this.now === 'unknown') this.become('up')
    if (this.now === 'up') return
    this.answeringSince ??= now
    if (now - this.answeringSince < this.dampMs) return
    this.returnedAt = now
    this.become('up')
  }

  private fall(): void {
    this.answeringSince = undefined
    if (this.now === 'down') return
    const now = this.deps.clock.monotonic()
    const stood = this.returnedAt === undefined ? Number.POSITIVE_INFINITY : now - this.returnedAt
    this.dampMs = stood < forgivenMs ? Math.min(dampMaxMs, this.dampMs * 2) : dampMinMs
    this.become('down')
    for (const end of this.waiting) end()
    this.waiting.clear()
  }

  private become(state: ProxyState): void {
    this.now = state
    this.silences = 0
    this.deps.onChange(this)
  }
}
