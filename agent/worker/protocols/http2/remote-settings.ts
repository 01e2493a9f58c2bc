import { defaultFrameBytes, defaultWindow, H2Error, largestFrameBytes, largestWindow, Setting } from './frames.ts'
import type { SessionState } from './session-state.ts'

/** What the peer says of itself in SETTINGS; before that, what RFC 9113 section 6.5.2 lets one assume. */
export class RemoteSettings {
  /** SETTINGS came. */
  isKnown = false
  /** Streams that we may have open at once. */
  maxStreams = Infinity
  initialWindow: number = defaultWindow
  maxFrameBytes: number = defaultFrameBytes
  /** Advice only. */
  maxHeadBytes = Infinity
  /** It knows extended CONNECT (RFC 8441). */
  takesConnect = false

  /** As plain data, and back: infinite is -1. */
  get state(): SessionState['remote'] {
    const { initialWindow, maxFrameBytes, maxHeadBytes, maxStreams, takesConnect } = this
    const bound = (value: number): number => (value === Infinity ? -1 : value)
    return {
      maxStreams: bound(maxStreams),
      initialWindow,
      maxFrameBytes,
      maxHeadBytes: bound(maxHeadBytes),
      takesConnect,
    }
  }

  restore(state: SessionState['remote']): void {
    const bound = (value: number): number => (value < 0 ? Infinity : value)
    this.isKnown = true
    this.maxStreams = bound(state.maxStreams)
    this.initialWindow = state.initialWindow
    this.maxFrameBytes = state.maxFrameBytes
    this.maxHeadBytes = bound(state.maxHeadBytes)
    this.takesConnect = state.takesConnect === true
  }

  /** Takes one setting. Answers the error that it is, or `none`. `isServer`: we are. */
  take(id: number, value: number, isServer: boolean): H2Error {
    switch (id) {
      case Setting.enablePush:
        return value > 1 || (value === 1 && !isServer) ? H2Error.protocol : H2Error.none
      case Setting.maxConcurrentStreams:
        this.maxStreams = value
        break
      case Setting.initialWindowSize:
        if (value > largestWindow) return H2Error.flowControl
        this.initialWindow = value
        break
      case Setting.maxFrameSize:
        if (value < defaultFrameBytes || value > largestFrameBytes) return H2Error.protocol
        this.maxFrameBytes = value
        break
      case Setting.maxHeaderListSize:
        this.maxHeadBytes = value
        break
      case Setting.enableConnectProtocol:
        // It may not be taken back (RFC 8441 section 3).
        if (value > 1 || (value === 0 && this.takesConnect)) return H2Error.protocol
        this.takesConnect = value === 1
        break
      default:
    }
    return H2Error.none
  }
}
