/**
 * What systemd does for a `Type=notify` service, as far as the watchdog uses it: hears its messages, keeps its sockets,
 * and passes them at the next start.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadLibc } from '../../../native/libc.ts'
import type { Libc } from '../../../native/libc.ts'
import { MessageMemory } from '../../../native/socket-message.ts'

const datagramNonBlocking = 2 | 0o4000

export class ServiceManagerDouble {
  readonly messages: string[] = []
  private readonly folder = mkdtempSync(join(tmpdir(), 'hm-manager-'))
  private readonly libc: Libc
  private readonly memory: MessageMemory
  private readonly socket: number
  private readonly store = new Map<string, number>()
  private readonly timer: NodeJS.Timeout

  constructor() {
    this.libc = loadLibc().libc!
    this.memory = new MessageMemory(this.libc)
    this.socket = this.libc.socket(1, datagramNonBlocking, 0)
    const address = this.memory.address(this.path)!
    if (this.libc.bind(this.socket, address.bytes, address.length) !== 0) throw new Error(`cannot bind ${this.path}`)
    this.timer = setInterval(() => this.hear(), 10)
  }

  get stored(): string[] {
    return [...this.store.keys()]
  }

  get descriptors(): number[] {
    return [...this.store.values()]
  }

  environment(): Record<string, string> {
    return {
      NOTIFY_SOCKET: this.path,
      WATCHDOG_USEC: '1000000',
      LISTEN_FDS: String(this.store.size),
      LISTEN_FDNAMES: this.stored.join(':'),
    }
  }

  close(): void {
    clearInterval(this.timer)
    for (const descriptor of this.store.values()) this.libc.close(descriptor)
    this.libc.close(this.socket)
    rmSync(this.folder, { recursive: true, force: true })
  }

  private get path(): string {
    return join(this.folder, 'notify')
  }

  private hear(): void {
    for (;;) {
      const got = this.memory.receive(this.socket)
      if (got.kind !== 'message') return
      const text = got.bytes.toString()
      this.messages.push(text)
      const name = /^FDNAME=(.*)$/m.exec(text)?.[1]
      if (name === undefined) continue
      this.libc.close(this.store.get(name) ?? -1)
      this.store.delete(name)
      if (text.includes('FDSTORE=1')) this.store.set(name, got.descriptors[0]!)
    }
  }
}
