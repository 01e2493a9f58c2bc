import { ClosedBy } from './closed-streams.ts'
import { errorName, Flag, H2Error, readWord, Setting, writePing, writeSettingsAck } from './frames.ts'
import { pingsPerData, windowUpdatesPerData } from './limits.ts'
import type { Misuse } from './misuse.ts'
import type { SessionCore } from './session-core.ts'

/** Frames that carry neither heads nor content. */
export class ControlFrames {
  private readonly session: SessionCore
  private readonly misuse: Misuse
  /** Of the peer, that content of ours explains. */
  private windowUpdates = 0
  private pings = 0

  constructor(session: SessionCore, misuse: Misuse) {
    this.session = session
    this.misuse = misuse
  }

  onWindowUpdate(id: number, buf: Buffer, from: number, to: number): void {
    if (to - from !== 4) return void this.session.fail(H2Error.frameSize, 'WINDOW_UPDATE of a wrong length')
    const by = readWord(buf, from) & 0x7fffffff
    if (this.windowUpdates < this.session.sender.dataFrames * windowUpdatesPerData) this.windowUpdates++
    else this.misuse.windowUpdate()
    if (id === 0) {
      if (by === 0) return void this.session.fail(H2Error.protocol, 'window update by nothing')
      if (!this.session.sender.widen(null, by)) return void this.session.fail(H2Error.flowControl, 'window too large')
      this.session.sender.push()
      return
    }
    const flow = this.session.streams.get(id)
    if (flow === undefined) {
      if (this.isIdleStream(id)) this.session.fail(H2Error.protocol, 'window update without a stream')
      return
    }
    if (by === 0) return this.session.streamError(flow, H2Error.protocol, 'window update by nothing')
    if (!this.session.sender.widen(flow, by))
      return this.session.streamError(flow, H2Error.flowControl, 'window too large')
    if (this.session.sender.stalled.has(flow)) this.session.sender.push()
  }

  private isIdleStream(id: number): boolean {
    return id > this.session.lastId || (id & 1) === 0
  }

  onRstStream(id: number, buf: Buffer, from: number, to: number): void {
    if (to - from !== 4) return void this.session.fail(H2Error.frameSize, 'RST_STREAM of a wrong length')
    if (id === 0 || this.isIdleStream(id))
      return void this.session.fail(H2Error.protocol, 'RST_STREAM without a stream')
    const flow = this.session.streams.get(id)
    if (flow !== undefined) {
      const code = readWord(buf, from)
      const { user } = flow
      this.session.remove(flow, ClosedBy.peer)
      user.onReset(code, code === H2Error.refusedStream, `reset by the peer: ${errorName(code)}`)
    }
    // An endpoint can reset no more streams than we open, and does so behind each reply that needed no content
    // (NO_ERROR).
    if (this.session.isServer) this.misuse.reset()
    else if (flow === undefined && this.session.closed.of(id) === ClosedBy.unknown) this.misuse.idleFrame()
  }

  onPriority(id: number, buf: Buffer, from: number, to: number): void {
    if (id === 0) return void this.session.fail(H2Error.protocol, 'PRIORITY without a stream')
    const isShort = to - from !== 5
    if (!isShort && (readWord(buf, from) & 0x7fffffff) !== id) return this.misuse.idleFrame()
    const code = isShort ? H2Error.frameSize : H2Error.protocol
    const flow = this.session.streams.get(id)
    if (flow === undefined) this.session.strayError(id, code)
    else this.session.streamError(flow, code, 'malformed PRIORITY')
  }

  onSettingsFrame(flags: number, id: number, buf: Buffer, from: number, to: number): void {
    const length = to - from
    if (id !== 0) return void this.session.fail(H2Error.protocol, 'SETTINGS on a stream')
    if ((flags & Flag.ack) !== 0) {
      if (length > 0) this.session.fail(H2Error.frameSize, 'acknowledgement with settings')
      else this.misuse.idleFrame()
      return
    }
    if (length % 6 !== 0) return void this.session.fail(H2Error.frameSize, 'SETTINGS of a wrong length')
    const { remote, sender } = this.session
    const before = remote.initialWindow
    for (let at = from; at < to; at += 6) {
      const setting = (buf[at]! << 8) | buf[at + 1]!
      if (setting === Setting.headerTableSize) sender.mustResetTable = true
      const error = remote.take(setting, readWord(buf, at + 2), this.session.isServer)
      if (error !== H2Error.none) return void this.session.fail(error, 'setting out of range')
    }
    const by = remote.initialWindow - before
    if (by !== 0) {
      for (const flow of this.session.streams.values()) {
        if (!sender.widen(flow, by)) return void this.session.fail(H2Error.flowControl, 'window too large')
      }
    }
    if (remote.isKnown) this.misuse.idleFrame()
    if (this.session.isEnding) return
    remote.isKnown = true
    writeSettingsAck(sender.frames())
    if (by > 0) sender.push()
    this.session.owner.onSettings()
  }

  onPing(flags: number, id: number, buf: Buffer, from: number, to: number): void {
    if (id !== 0) return void this.session.fail(H2Error.protocol, 'PING on a stream')
    if (to - from !== 8) return void this.session.fail(H2Error.frameSize, 'PING of a wrong length')
    if ((flags & Flag.ack) === 0) {
      writePing(this.session.sender.frames(), buf, from, true)
      if (this.pings < this.session.sender.dataFrames * pingsPerData) this.pings++
      else this.misuse.idleFrame()
    } else if (this.session.pings > 0) {
      this.session.pings--
      this.session.owner.onPong()
    } else {
      this.misuse.idleFrame()
    }
  }

  onGoAwayFrame(id: number, buf: Buffer, from: number, to: number): void {
    if (id !== 0) return void this.session.fail(H2Error.protocol, 'GOAWAY on a stream')
    if (to - from < 8) return void this.session.fail(H2Error.frameSize, 'GOAWAY of a wrong length')
    const last = readWord(buf, from) & 0x7fffffff
    const code = readWord(buf, from + 4)
    this.session.isGoneAway = true
    if (!this.session.isServer) this.dropAbove(last, code)
    if (!this.session.isEnding) this.session.owner.onGoAway(code)
  }

  /** The peer does nothing with streams above `last`. */
  private dropAbove(last: number, code: number): void {
    for (const flow of this.session.streams.values()) {
      if (flow.id <= last || flow.session !== this.session) continue
      const { user } = flow
      this.session.remove(flow, ClosedBy.peer)
      user.onReset(code, true, `GOAWAY of the peer: ${errorName(code)}`)
    }
  }
}
