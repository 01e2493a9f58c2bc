import type { StartedWorker } from './start-worker.ts'

export interface Moves {
  bytes: number
}

/** Bytes that the worker moves inside the kernel from here on. */
export function watchMoves(started: StartedWorker): Moves {
  const moves: Moves = { bytes: 0 }
  const { bulk } = started.worker
  const pipe = bulk.pipe
  if (pipe === null) throw new Error('the kernel does not splice here')
  bulk.pipe = {
    capacity: pipe.capacity,
    take(socket, atMost) {
      const taken = pipe.take(socket, atMost)
      moves.bytes += Math.max(0, taken)
      return taken
    },
    give: (socket, count) => pipe.give(socket, count),
    rest: (count) => pipe.rest(count),
    close: () => pipe.close(),
  }
  return moves
}
