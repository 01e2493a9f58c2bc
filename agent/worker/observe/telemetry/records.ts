import type { LoggedRequest } from '../logged-request.ts'
import type { Attribute } from './attributes.ts'
import type { Outbox } from './outbox.ts'
import type { ProtoBytes } from './proto-bytes.ts'

/** Field of the list that a record of either kind is an entry of. */
const listTag = 0x12

/** Where records of one kind go: each is one entry of a list, put into the outbox of the service that it is about. */
export abstract class Records {
  isOn = false
  private readonly outbox: Outbox
  private readonly now: () => number
  /** Where the record in hand began. */
  private opened = 0

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
    into.byte(listTag)
    this.opened = into.openLong()
    return into
  }

  protected close(into: ProtoBytes): void {
    into.closeLong(this.opened)
    this.outbox.wrote()
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
