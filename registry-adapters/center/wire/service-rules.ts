/**
 * The rules that decide about one service: each as Istio's MCP resource (`istio.mcp.v1alpha1.Resource`), whose body is
 * the resource as JSON in a `google.protobuf.StringValue`.
 */
import { bytesIn, fieldsOf, message, textOf } from '../../../contracts/envoy-api/protobuf.ts'

export interface CarriedRule {
  /** `VirtualService shop/orders`. */
  readonly name: string
  /** The whole resource, JSON. */
  readonly text: string
}

const stringValue = 'type.googleapis.com/google.protobuf.StringValue'

export function encodeRules(rules: readonly CarriedRule[]): Buffer {
  return message([
    1,
    rules.map(({ name, text }) =>
      message([1, message([1, name])], [2, message([1, stringValue], [2, message([1, text])])]),
    ),
  ])
}

/** Throws RangeError. */
export function decodeRules(bytes: Buffer): CarriedRule[] {
  const rules: CarriedRule[] = []
  for (const { field, value } of fieldsOf(bytes)) if (field === 1) rules.push(decodeRule(bytesIn(value)))
  return rules
}

function decodeRule(bytes: Buffer): CarriedRule {
  let name = ''
  let text = ''
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) name = textAt(bytesIn(value), 1)
    else if (field === 2)
      for (const body of fieldsOf(bytesIn(value))) if (body.field === 2) text = textAt(bytesIn(body.value), 1)
  }
  if (name === '' || text === '') throw new RangeError('a rule has no name or no body')
  return { name, text }
}

function textAt(bytes: Buffer, wanted: number): string {
  let found = ''
  for (const { field, value } of fieldsOf(bytes)) if (field === wanted) found = textOf(value)
  return found
}
