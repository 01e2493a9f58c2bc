import { getSystemErrorName } from 'node:util'

import type { Dial, DialCallback } from '../transport.ts'
import { everyEdge, refusal } from './loop.ts'
import type { Watched } from './loop.ts'
import { EpollTransport } from './socket.ts'
import type { EpollShared } from './socket.ts'

/** A socket from `connect` until it is connected, or is not. */
export class Dialing implements Dial, Watched {
  isQueued = false
  private readonly shared: EpollShared
  private readonly callback: DialCallback
  private socket = -1
  private isCancelled = false

  constructor(shared: EpollShared, callback: DialCallback) {
    this.shared = shared
    this.callback = callback
  }

  begin(address: string, port: number): void {
    const { loop, sockets } = this.shared
    try {
      this.socket = sockets.connecting(address, port)
      const refused = loop.add(this.socket, this, everyEdge)
      if (refused === 0) return
      loop.calls.close(this.socket)
      this.socket = -1
      throw refusal(refused, address)
    } catch (error) {
      setImmediate(() => {
        if (!this.isCancelled) this.callback(null, (error as NodeJS.ErrnoException).code ?? 'ERROR')
      })
    }
  }

  onTurn(): void {}

  onEvents(events: number): void {
    const { callback, shared, socket } = this
    const { loop } = shared
    const failure = shared.sockets.connectFailure(socket)
    this.socket = -1
    if (failure !== 0) {
      loop.remove(socket)
      loop.calls.close(socket)
      callback(null, getSystemErrorName(-failure))
      return
    }
    const transport = new EpollTransport(shared, socket)
    loop.replace(socket, transport)
    // What is there already is read when somebody asks for it.
    transport.onEvents(events)
    callback(transport, '')
    // behind the first write, which nothing holds back
    if (!transport.isClosed) shared.sockets.sendAtOnce(socket)
  }

  cancel(): void {
    this.isCancelled = true
    if (this.socket < 0) return
    const { loop } = this.shared
    loop.remove(this.socket)
    loop.calls.close(this.socket)
    this.socket = -1
  }
}
