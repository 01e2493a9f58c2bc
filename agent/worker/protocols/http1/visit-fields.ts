import { Field, isHopByHop } from '../../../../http1/field-names.ts'
import type { Head } from '../../../../http1/head.ts'
import type { FieldVisitor } from '../../forward/streams.ts'

/**
 * Tells the fields of a message that are not of this protocol or of one connection only: framing, Host, hop-by-hop
 * fields, and those that Connection names (R17).
 */
export function visitFields(head: Head, visit: FieldVisitor): void {
  for (let i = 0; i < head.fieldCount; i++) {
    const field = head.ids[i]!
    if (field === Field.host || field === Field.contentLength || isHopByHop(field) || head.isNominated(i)) continue
    visit(head.nameOf(i).toLowerCase(), head.valueOf(i))
  }
}
