import type { LimitsSpec } from '../../../../contracts/snapshot.ts'
import { Head } from '../../../../http1/head.ts'
import type { HeadWriter } from '../../../../http1/head-writer.ts'
import { plainRequestPlan } from '../../../../http1/plans.ts'
import type { RequestPlan } from '../../../../http1/types.ts'
import type { RequestEdits, RequestMessage } from '../../forward/streams.ts'
import type { Output } from '../../transport/output.ts'
import type { ForeignHeads } from './foreign-head.ts'
import { MeshFields } from './mesh-fields.ts'

/** Writes the heads of forwarded requests. One per worker and name of the node. */
export class RequestWriter {
  private readonly writer: HeadWriter
  private readonly foreign: ForeignHeads
  private readonly fields = new MeshFields()
  private readonly plan: RequestPlan = plainRequestPlan()

  constructor(writer: HeadWriter, foreign: ForeignHeads) {
    this.writer = writer
    this.foreign = foreign
  }

  /** False when the message cannot be said in HTTP/1.1; nothing was written then. */
  write(output: Output, request: RequestMessage, edits: RequestEdits, limits: LimitsSpec): boolean {
    const { wire } = request
    const head = wire instanceof Head ? wire : this.foreign.request(request, limits)
    if (head === null) return false
    const { fields, plan, writer } = this
    fields.begin()
    if (edits.source !== '') fields.addSource(edits.source)
    if (edits.trace !== null) fields.addTrace(edits.trace)
    if (edits.requestId !== null) fields.addRequestId(edits.requestId)
    plan.routeEdits = edits.route
    plan.destinationEdits = edits.destination
    plan.extra = fields.length > 0 ? fields.bytes : null
    plan.extraLength = fields.length
    plan.target = edits.target === null ? null : Buffer.from(edits.target, 'latin1')
    plan.authority = edits.authority === null ? null : Buffer.from(edits.authority, 'latin1')
    plan.upgrades = edits.keepsAsks && head.upgradesToWebSocket
    plan.dropsExpect = !edits.keepsAsks
    let at = writer.request(output.bytes, output.length, head, plan)
    if (at < 0) {
      output.room(writer.roomFor(head, plan))
      at = writer.request(output.bytes, output.length, head, plan)
    }
    output.length = at
    return true
  }
}
