/**
 * The heads that the relay reads and writes, with the workers' own codec (`http1/`), and its own answers. One per
 * relay.
 */
import type { ErrorCode } from '../../contracts/errors.ts'
import { headers } from '../../contracts/words.ts'
import { httpFault } from '../../http1/fault.ts'
import { Field } from '../../http1/field-names.ts'
import { Head } from '../../http1/head.ts'
import { HeadWriter } from '../../http1/head-writer.ts'
import { LocalReplies } from '../../http1/local-reply.ts'
import { StringCache } from '../../http1/string-cache.ts'
import { Method, ReplyFraming } from '../../http1/types.ts'
import { plainReplyPlan, plainRequestPlan } from '../../http1/plans.ts'
import type { Fields, ReplyPlan, RequestPlan } from '../../http1/types.ts'
import type { NamedService } from './relay-addresses.ts'

/** Tables of a head are made for so many fields at first. */
const usualFields = 32

const textPlain: Fields = [['content-type', 'text/plain']]
const noFields: Fields = []

export type RelayTier = 'center' | 'direct'

export class RelayedHeads {
  /** This host's name in Via: that of its workers. */
  readonly pseudonym: string
  private readonly strings = new StringCache(64, 128)
  private readonly toCenter: HeadWriter
  private readonly toEndpoint: HeadWriter
  private readonly replies = { center: new LocalReplies('center'), direct: new LocalReplies('direct') }
  private readonly requestPlan: RequestPlan = plainRequestPlan()
  private readonly replyPlan: ReplyPlan = { ...plainReplyPlan(), closes: true }
  private readonly tierLines = {
    center: Buffer.from(`${headers.tier}: center\r\n`, 'latin1'),
    direct: Buffer.from(`${headers.tier}: direct\r\n`, 'latin1'),
  }

  constructor(host: string) {
    this.pseudonym = host.replace(/[^A-Za-z0-9!#$%&'*+.^_`|~-]/g, '-') || 'hostmesh'
    this.toCenter = new HeadWriter(this.pseudonym, { passesNames: true, closes: true })
    this.toEndpoint = new HeadWriter(this.pseudonym, { passesNames: false, closes: true })
  }

  newHead(): Head {
    return new Head(this.strings, usualFields)
  }

  request(head: Head, tier: RelayTier): Buffer {
    const plan = this.requestPlan
    plan.upgrades = head.upgradesToWebSocket
    const writer = tier === 'center' ? this.toCenter : this.toEndpoint
    const out = Buffer.allocUnsafe(writer.roomFor(head, plan))
    return out.subarray(0, writer.request(out, 0, head, plan))
  }

  /** Of an interim, a switching or a final reply. */
  reply(head: Head, tier: RelayTier, framing: ReplyFraming, takesTrailers = false): Buffer {
    const plan = this.replyPlan
    const isFinal = head.status >= 200
    plan.extra = this.tierLines[tier]
    plan.extraLength = isFinal || head.status === 101 ? plan.extra.length : 0
    plan.dropsTrailer = !takesTrailers || framing === ReplyFraming.untilClose
    plan.framing = framing
    // of a center it is the mesh's own word; whether an agent or an application answers is not known here
    plan.dropsError = tier === 'direct'
    plan.closes = isFinal
    plan.upgrades = head.status === 101
    const writer = this.toEndpoint
    const out = Buffer.allocUnsafe(writer.roomFor(head, plan))
    return out.subarray(0, writer.reply(out, 0, head, plan))
  }

  /** An answer of the relay itself to the request of this head, as far as it was read. `tier`: where it was sent. */
  answer(head: Head, tier: RelayTier, status: number, code: ErrorCode, text: string): Buffer {
    const body = Buffer.from(`${code}  ${text}\n`, 'latin1')
    return this.local(head, tier, status, code, textPlain, body)
  }

  refusal(head: Head, tier: RelayTier, fault: number): Buffer {
    const { status, code, reason } = httpFault(fault)
    return this.answer(head, tier, status, code, reason)
  }

  emptyOk(head: Head): Buffer {
    return this.local(head, 'direct', 200, undefined, noFields, Buffer.alloc(0))
  }

  private local(
    head: Head,
    tier: RelayTier,
    status: number,
    code: ErrorCode | undefined,
    fields: Fields,
    body: Buffer,
  ): Buffer {
    return this.replies[tier].format({ status, code, fields, body }, null, head.methodId === Method.head, true, 1)
  }
}

/**
 * What the request names, as a worker reads it: `x-mesh-service` alone, or else the authority of the target or of Host.
 */
export function namedBy(head: Head): NamedService {
  const service = firstOf(head, Field.xMeshService)
  return {
    service,
    host: service === undefined ? head.authority.replace(/:[0-9]*$/, '') || undefined : undefined,
    fallback: firstOf(head, Field.xMeshFallback),
  }
}

function firstOf(head: Head, field: Field): string | undefined {
  const index = head.find(field)
  return index < 0 ? undefined : head.valueOf(index)
}
