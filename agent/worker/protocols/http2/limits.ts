/** Bounds of one connection that nobody needs to configure. Sources: docs/limits.md, docs/http2.md. */

/** CONTINUATION frames of one block (nghttp2's bound). */
export const maxContinuations = 8
/**
 * What waits to be written while the peer does not read; above it nothing is read from that peer either, which bounds
 * it.
 */
export const pauseAboveBytes = 65_536
/** Above it a connection is given up: replies of a peer that does not read. */
export const maxUnsentBytes = 4 * 1024 * 1024

/** A budget that refills: `burst` at once, `perSecond` for ever. */
export interface Budget {
  readonly burst: number
  readonly perSecond: number
}

/** Streams that a peer gave up, or made us give up (rapid reset of both kinds). */
export const resetBudget: Budget = { burst: 500, perSecond: 50 }
/** Frames that carry nothing: PING, SETTINGS, PRIORITY, unknown types, empty DATA and blocks. */
export const idleFrameBudget: Budget = { burst: 500, perSecond: 50 }
/**
 * Frames of a caller's content that waits, of one stream: so many, and one more for each `leastMessage` bytes of it. A
 * stream of small messages stays below it however slowly it is taken: none of gRPC is smaller, and none of a
 * WebSocket's caller.
 */
export const smallFramesKept = 500
export const leastMessage = 5
/** WINDOW_UPDATE beyond those that our DATA explains: so many per DATA frame sent are free. */
export const windowBudget: Budget = { burst: 500, perSecond: 50 }
export const windowUpdatesPerData = 10
/** Libraries of gRPC measure a path by a PING behind content that they got: so many per DATA frame sent are free. */
export const pingsPerData = 1
