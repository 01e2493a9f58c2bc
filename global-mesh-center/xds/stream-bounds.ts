/** Bounds of one stream of discovery, whichever form it speaks. */

/** Names that one stream may subscribe to, of one type. */
export const maxNames = 20_000

/** A response is closed once it holds so many bytes, where it may be closed. */
export const maxResponseBytes = 1024 * 1024
