/** Bounds of connections in private RPC that nobody needs to configure (docs/rpc.md). */

/** The longest frame that is taken, bytes. Source: Dubbo's payload limit. */
export const maxFrameBytes = 8 * 1024 * 1024
/** Frames that are not whole yet or wait for their reply, over all connections of a worker, bytes. */
export const maxHeldBytes = 256 * 1024 * 1024
/** Requests of one caller's connection at once; at it the connection is not read. */
export const maxPending = 1024
/** Requests over one connection to an endpoint at once. */
export const streamsPerLink = 1000
/** Streams of each side that are kept for reuse. */
export const maxSpareStreams = 4096
/** What waits to be written while the other side does not read: above it the connection takes nothing new. */
export const pauseAboveBytes = 262_144
/** Above it a connection is given up. Room for the longest frame beside what waits. */
export const maxUnsentBytes = 16 * 1024 * 1024
/** A caller's connection without a request or heartbeat ends after so long, ms: five heartbeats of Dubbo. */
export const idleMs = 300_000
/** A frame that stops coming ends its connection after so long, ms. */
export const partialFrameMs = 30_000
/** And a frame that keeps coming, but not to its end, ms. */
export const wholeFrameMs = 120_000
/** Heartbeats and frames that ask for nothing, of one caller within a second. */
export const maxIdleFrames = 100
/** A connection to an endpoint that hears nothing asks by a heartbeat; after as long again it is lost, ms. */
export const quietMs = 10_000
/** A connection that is to move takes no new requests for at most so long at a time, ms. */
export const holdMs = 1000
/** After that it serves for so long before it tries again, ms. */
export const openMs = 1000
/** After the word that no more requests are taken, so long for the caller to have heard it, ms. */
export const noticeMs = 1000
