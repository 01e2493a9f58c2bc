import { randomBytes } from 'node:crypto'

import { Output } from '../../../agent/worker/transport/output.ts'
import { noIdentity } from '../../../agent/worker/transport/transport.ts'
import { adoptTls } from '../../../agent/worker/transport/tls/adopt-tls.ts'
import { nodeCiphers } from '../../../agent/worker/transport/tls/record-cipher.ts'
import { suiteNamed } from '../../../agent/worker/transport/tls/suites.ts'
import { TlsShared } from '../../../agent/worker/transport/tls/tls-shared.ts'
import { TlsTransport } from '../../../agent/worker/transport/tls/tls-transport.ts'
import { TrafficKeys } from '../../../agent/worker/transport/tls/traffic-keys.ts'
import { ContentType, headerBytes } from '../../../agent/worker/transport/tls/words.ts'
import { MemoryTransport } from '../memory-transport.ts'

const suite = suiteNamed('TLS_AES_128_GCM_SHA256')!

/** The other end of a connection: seals what the test wants, and opens what comes. */
export class RecordPeer {
  inner = new MemoryTransport()
  readonly events: string[] = []
  readonly received: Buffer[] = []
  readonly told: string[] = []
  transport!: TlsTransport
  private readonly shared: TlsShared
  private readonly ciphers = nodeCiphers()
  private readonly output = new Output()
  private readonly theirs: TrafficKeys
  private readonly ours: TrafficKeys

  constructor(
    role: 'server' | 'client' = 'server',
    [up, down]: readonly [Buffer, Buffer] = [randomBytes(32), randomBytes(32)],
  ) {
    const keys = (secret: Buffer, seals: boolean) => new TrafficKeys(this.ciphers, suite, Buffer.from(secret), seals)
    this.theirs = keys(up, true)
    this.ours = keys(down, false)
    this.shared = new TlsShared(this.ciphers, {
      onFault: (_role, alert) => this.events.push(`fault ${alert}`),
      onPeerAlert: (_role, code) => this.events.push(`alert ${code}`),
      onTruncated: () => this.events.push('truncated'),
    })
    const [sending, receiving, held] = [keys(down, true), keys(up, false), Buffer.alloc(0)]
    this.take(new TlsTransport(this.shared, this.inner, { role, sending, receiving, identity: noIdentity, held }))
  }

  /** Out of this process and in again, as a hot restart does it: everything that was sent has been read. */
  move(): void {
    const { state } = this.transport.detach()
    this.inner = new MemoryTransport()
    this.take(adoptTls(this.shared, () => this.inner, JSON.parse(JSON.stringify(state)) as NonNullable<typeof state>))
  }

  get isOver(): boolean {
    return this.transport.isClosed
  }

  private take(transport: TlsTransport): void {
    this.transport = transport
    transport.owner = {
      onBytes: (bytes, length) => this.received.push(Buffer.from(bytes.subarray(0, length))),
      onEnd: () => this.told.push('end'),
      onDrained() {},
      onClosed: (reason) => this.told.push(reason),
    }
    transport.resumeReading()
  }

  get text(): string {
    return Buffer.concat(this.received).toString('latin1')
  }

  record(type: number, content: Buffer | string, padding = 0): Buffer {
    const inside = Buffer.concat([Buffer.from(content), Buffer.from([type]), Buffer.alloc(padding)])
    const record = Buffer.alloc(headerBytes + inside.length + 16)
    record.set([23, 3, 3])
    record.writeUInt16BE(inside.length + 16, 3)
    const last = inside.at(-1)!
    this.theirs.cipher.seal(this.theirs.number++, inside, 0, inside.length - 1, last, record, headerBytes)
    return record
  }

  updateKeys(): void {
    this.theirs.update()
  }

  /** Content of what came out, as `type:hex`; goes over to new keys where it is told so. */
  opened(): string[] {
    const found: string[] = []
    let bytes = this.inner.received
    while (bytes.length >= headerBytes) {
      const end = headerBytes + bytes.readUInt16BE(3)
      const target = Buffer.alloc(end)
      if (!this.ours.cipher.open(this.ours.number++, bytes, headerBytes, end, target, 0)) throw new Error('not genuine')
      const type = target[end - headerBytes - 17]!
      found.push(`${type}:${target.subarray(0, end - headerBytes - 17).toString('hex')}`)
      if (type === ContentType.handshake) this.ours.update()
      bytes = bytes.subarray(end)
    }
    this.inner.received = Buffer.alloc(0)
    return found
  }

  write(text: string): void {
    this.output.append(Buffer.from(text))
    this.transport.write(this.output)
  }
}
