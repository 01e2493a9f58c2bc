import { headers, nothingDelivered } from '../../../../contracts/words.ts'
import type { Tier } from '../../../../contracts/words.ts'
import { Field as FieldId, isHopByHop } from '../../../../http1/field-names.ts'
import { isFieldValue } from '../../../../http1/field-text.ts'
import type { Answer, HeaderEdits, ReplyEdits, ReplyMessage } from '../../forward/streams.ts'
import type { Output } from '../../transport/output.ts'
import { blockOf, EditBlocks, viaBlocks } from './edit-blocks.ts'
import { Http2Head } from './head.ts'
import { writeField, writeKnownField, writeStatus } from './hpack/encoder.ts'
import { nameKind, NameKind } from './hpack/field.ts'

/** Fields of HTTP/1.1 that HTTP/2 does not know, and those that only we write. */
const unsaid: ReadonlySet<string> = new Set([headers.tier, 'content-length', 'sec-websocket-accept'])

/** Names that were found sayable; a reply has few, and they come again. Bound: it is emptied there. */
const maxNames = 2048

/** Writes the heads of forwarded replies, and our own answers. One per worker, name of the node and tier. */
export class ReplyWriter {
  private readonly blocks = new EditBlocks()
  private readonly tier: Buffer
  private readonly nothingDelivered: Buffer
  private readonly via: readonly [Buffer, Buffer]
  private readonly sayable = new Set<string>()
  private out!: Output
  private isSayable = true
  private dropsError = false
  private drops = false

  constructor(pseudonym: string, tier: Tier) {
    this.tier = blockOf([[headers.tier, tier]])
    this.nothingDelivered = blockOf([[headers.tier, nothingDelivered]])
    this.via = viaBlocks(pseudonym)
  }

  /** False when the message cannot be said in HTTP/2: what was written must be taken back. */
  write(out: Output, reply: ReplyMessage, edits: ReplyEdits): boolean {
    const { status, wire } = reply
    const isFinal = status >= 200
    this.takeEdits(isFinal ? edits : null)
    this.out = out
    this.isSayable = true
    this.dropsError = !edits.isFromAgent
    writeStatus(out, status === 101 ? 200 : status)
    const isOurs = wire instanceof Http2Head
    if (isOurs) this.writeFields(wire)
    else reply.eachField(this.visit)
    if (!this.isSayable) return false
    if (isFinal && status !== 204 && reply.contentLength >= 0) {
      writeField(out, 'content-length', String(reply.contentLength))
    }
    out.append(this.via[isOurs ? 1 : 0])
    for (const { fields } of this.blocks.edits) out.append(this.blocks.of(fields))
    out.append(this.tier)
    return true
  }

  private takeEdits(edits: ReplyEdits | null): void {
    const list = this.blocks.edits
    list.length = 0
    if (edits === null) return
    if (edits.route !== null) list.push(edits.route)
    if (edits.destination !== null) list.push(edits.destination)
    if (edits.cookie !== null) list.push(edits.cookie)
    if (edits.filters !== null) list.push(...edits.filters)
    this.drops = list.some(({ drop }) => drop.size > 0)
  }

  /** Of another connection of this protocol: unchanged fields pass as they are. */
  private writeFields(head: Http2Head): void {
    const { drops, dropsError, out } = this
    for (const field of head.fields) {
      const { id } = field
      if (id !== FieldId.other) {
        if (id === FieldId.contentLength || id === FieldId.xMeshTier || isHopByHop(id)) continue
        if (id === FieldId.xMeshError && dropsError) continue
      }
      if (drops && this.blocks.isDropped(field.name)) continue
      writeKnownField(out, field)
    }
  }

  private readonly visit = (name: string, value: string): void => {
    if (unsaid.has(name) || (name === headers.error && this.dropsError)) return
    if (!this.isName(name) || !isFieldValue(value)) {
      this.isSayable = false
      return
    }
    if (this.drops && this.blocks.isDropped(name)) return
    writeField(this.out, name, value)
  }

  private isName(name: string): boolean {
    if (this.sayable.has(name)) return true
    if (nameKind(name) !== NameKind.ordinary) return false
    if (this.sayable.size === maxNames) this.sayable.clear()
    this.sayable.add(name)
    return true
  }

  answer(out: Output, answer: Answer, edits: readonly HeaderEdits[] | null): void {
    const { body, code, fields, status } = answer
    writeStatus(out, status)
    if (code !== undefined) writeField(out, headers.error, code)
    out.append(code === 'E_CENTER_NOT_READY' ? this.nothingDelivered : this.tier)
    if (status !== 204 && status !== 304) writeField(out, 'content-length', String(body.length))
    if (fields.length > 0) out.append(this.blocks.of(fields))
    if (edits !== null) for (const added of edits) out.append(this.blocks.of(added.fields))
  }
}
