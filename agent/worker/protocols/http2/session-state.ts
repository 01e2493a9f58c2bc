/** A session without an open stream, as plain data: what its other half in the next process needs to go on. */
export interface SessionState {
  readonly lastId: number
  readonly sendWindow: number
  readonly receiveWindow: number
  readonly credit: number
  /** base64: a frame that has not come whole. */
  readonly received: string
  /** What the peer said in SETTINGS; -1 = without a bound. */
  readonly remote: {
    readonly maxStreams: number
    readonly initialWindow: number
    readonly maxFrameBytes: number
    readonly maxHeadBytes: number
    readonly takesConnect: boolean
  }
  /** The decoder's table, oldest first. */
  readonly table: { readonly maxSize: number; readonly fields: readonly (readonly [name: string, value: string])[] }
}

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= -1

/** null = not what `SessionState` says. It comes from a process of this host, which may be of another release. */
export function readSessionState(given: unknown): SessionState | null {
  if (typeof given !== 'object' || given === null) return null
  const { credit, lastId, received, receiveWindow, remote, sendWindow, table } = given as SessionState
  if (typeof remote !== 'object' || remote === null || typeof table !== 'object' || table === null) return null
  const { initialWindow, maxFrameBytes, maxHeadBytes, maxStreams } = remote
  const counts = [credit, lastId, receiveWindow, initialWindow, maxFrameBytes, maxHeadBytes, maxStreams, table.maxSize]
  if (!counts.every(isCount) || !Number.isInteger(sendWindow) || typeof received !== 'string') return null
  if (table.maxSize > 4096 || !Array.isArray(table.fields)) return null
  const areFields = table.fields.every(
    (field) => Array.isArray(field) && field.every((text) => typeof text === 'string'),
  )
  return areFields ? (given as SessionState) : null
}
