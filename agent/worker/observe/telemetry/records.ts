import { shortHeadBytes } from '../../../../contracts/telemetry.ts'
import type { LoggedRequest } from '../logged-request.ts'
import type { Attribute } from './attributes.ts'
import type { Outbox } from './outbox.ts'
import type { ProtoBytes } from './proto-bytes.ts'
import type { RepeatedBytes } from './repeated-bytes.ts'

/** Where records of one kind go: each in short form, put into the outbox of the service that it is about. */
export abstract class Records {
  isOn = false
  private readonly outbox: Outbox
  private readonly now: () => number
  /** Of the record in hand: where its head and its own part begin, and how long the part is that it shares. */
  private headAt = 0
  private ownFrom = 0
  private sharedLength = 0

  /** @param now epoch ms. */
  constructor(outbox: Outbox, now: () => number) {
    this.outbox = outbox
    this.now = now
  }

  /** Epoch ns. */
  protected get nowNs(): number {
    return this.now() * 1e6
  }

  /** Begins a record; undefined = there is no room for it. */
  protected open(service: string): ProtoBytes | undefined {
    const into = this.outbox.begin(service)
    if (into === undefined) return undefined
    this.headAt = into.length
    into.length += shortHeadBytes
    return into
  }

  /** What it has in common with others of the same `key`; its own part follows. */
  protected share<Subject>(into: ProtoBytes, repeated: RepeatedBytes<Subject>, key: string, subject: Subject): void {
    const block = repeated.of(key, subject)
    const length = block.length
    if (block.group !== this.outbox.group) {
      block.group = this.outbox.group
      block.at = into.length - this.outbox.groupFrom
      into.putLong(block.bytes, length)
    }
    into.setCount(this.headAt, block.at)
    into.setCount(this.headAt + 4, length)
    this.sharedLength = length
    this.ownFrom = into.length
  }

  protected close(into: ProtoBytes): void {
    const own = into.length - this.ownFrom
    into.setCount(this.headAt + 8, own)
    this.outbox.wrote(this.sharedLength + own)
  }
}

/** Its `x-request-id`, whoever made it, where it has one. */
export function putRequestId(into: ProtoBytes, attribute: Attribute, request: LoggedRequest): void {
  if (request.givenId !== undefined) {
    attribute.ascii(into, request.givenId)
    return
  }
  const id = request.header('x-request-id')
  if (id !== undefined) attribute.text(into, id)
}
