import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'

import type { MeshSpec, SourceAppSpec } from '../../../contracts/snapshot.ts'
import { hexAddress } from './port-owner.ts'

/** What tells the two ends of a loopback connection apart. */
export interface LoopbackPeer {
  readonly address: string
  readonly port: number
}

/** Answers older than this are read again: many connections of one burst share one reading of the table. */
const shareMs = 5

/**
 * The calling application by the user id that owns the caller's end of a loopback connection (/proc/net/tcp, column uid). One look per connection, before its first byte is
 * read, and only when the configuration names users. undefined for peers of other hosts and for users without an application.
 */
export class CallerIdentity {
  private readonly now: () => number
  private readonly read: (file: string) => Promise<string>
  private shared: { at: number; table: Promise<string> } | undefined

  constructor(now: () => number, read: (file: string) => Promise<string> = (file) => readFile(file, 'latin1')) {
    this.now = now
    this.read = read
  }

  async find(peer: LoopbackPeer, apps: MeshSpec['sourceAppsByUid']): Promise<SourceAppSpec | undefined> {
    if (!isIPv4(peer.address) || !peer.address.startsWith('127.')) return undefined
    const uid = await this.uidOf(peer)
    return uid === undefined ? undefined : apps[uid]
  }

  private async uidOf(peer: LoopbackPeer): Promise<string | undefined> {
    const local = `${hexAddress(peer.address)}:${peer.port.toString(16).toUpperCase().padStart(4, '0')}`
    let table: string
    try {
      table = await this.table()
    } catch {
      return undefined
    }
    const at = table.indexOf(`: ${local} `)
    if (at < 0) return undefined
    const end = table.indexOf('\n', at)
    // sl: local remote state tx:rx tr:when retransmits uid …
    return table
      .slice(at + 2, end)
      .trim()
      .split(/\s+/)[6]
  }

  private table(): Promise<string> {
    const now = this.now()
    if (this.shared === undefined || now - this.shared.at > shareMs) {
      this.shared = { at: now, table: this.read('/proc/net/tcp') }
    }
    return this.shared.table
  }
}
