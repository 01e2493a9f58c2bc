/**
 * Which user listens at an address of this host: asked of the kernel for that one socket, and where it does not answer
 * (no tcp_diag) looked up in its table. Opens nothing before it is asked.
 */
import { readFileSync } from 'node:fs'
import { SocketOwner } from './socket-owner.ts'
import type { SocketAddress } from './socket-owner.ts'
import { listenerUidInTables, socketTables } from './socket-table.ts'

export class ListenerOwner {
  private asked: SocketOwner | undefined
  private isOpen = false

  /** undefined = nobody listens there, or it cannot be told. */
  uidOf(at: SocketAddress): number | undefined {
    if (!this.isOpen) {
      this.isOpen = true
      this.asked = SocketOwner.open()
    }
    return listenerUid(this.asked, at)
  }

  close(): void {
    this.asked?.close()
    this.asked = undefined
    this.isOpen = false
  }
}

/** The same, by a connection to the kernel that is there already. */
export function listenerUid(asked: SocketOwner | undefined, at: SocketAddress): number | undefined {
  const uid = asked?.uidOfListener(at)
  return uid !== undefined || asked?.hasAnswered === true ? uid : listenerUidInTables(socketTables.map(tableText), at)
}

function tableText(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
