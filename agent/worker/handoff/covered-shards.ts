/**
 * Sockets of dead neighbours that this worker accepts on. The word to give one back may come while it is only being
 * opened: then it is closed as soon as it is open.
 */
import { describeError } from '../../../contracts/errors.ts'
import type { HandoffDeps, HeldListener } from './handoff-deps.ts'

interface Closable {
  close(): void
}

type Shard = Pick<HeldListener, 'name' | 'shard'>

export class CoveredShards {
  private readonly listen: (held: HeldListener) => Closable | Promise<Closable>
  private readonly log: HandoffDeps['log']
  /** undefined while it is being opened. */
  private readonly sockets = new Map<string, { socket: Closable | undefined }>()

  constructor(listen: (held: HeldListener) => Closable | Promise<Closable>, log: HandoffDeps['log']) {
    this.listen = listen
    this.log = log
  }

  /** One that is covered already is covered by the newer socket. Never rejects; a failure is logged. */
  async cover(held: HeldListener): Promise<void> {
    this.uncover(held)
    const key = keyOf(held)
    const entry: { socket: Closable | undefined } = { socket: undefined }
    this.sockets.set(key, entry)
    try {
      const socket = await this.listen(held)
      if (this.sockets.get(key) === entry) entry.socket = socket
      else socket.close()
    } catch (error) {
      if (this.sockets.get(key) === entry) this.sockets.delete(key)
      this.log('error', `${held.name}: the socket of a dead neighbour cannot be used: ${describeError(error)}`)
    }
  }

  uncover(shard: Shard): void {
    const key = keyOf(shard)
    this.sockets.get(key)?.socket?.close()
    this.sockets.delete(key)
  }

  close(): void {
    for (const { socket } of this.sockets.values()) socket?.close()
    this.sockets.clear()
  }
}

function keyOf({ name, shard }: Shard): string {
  return `${name}#${shard}`
}
