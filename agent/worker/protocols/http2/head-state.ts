import type { Shape } from '../../listen/shape.ts'
import { Http2Head } from './head.ts'
import type { HeadFacts } from './head.ts'
import { Field } from './hpack/field.ts'
import type { NameTable } from './hpack/names.ts'

/** A head as plain data. */
export interface HeadState {
  readonly facts: HeadFacts
  readonly fields: readonly (readonly [name: string, value: string, isNever: boolean])[]
}

export const headShape: Shape = {
  facts: {
    method: 'string',
    scheme: 'string',
    authority: 'string',
    path: 'string',
    query: 'string',
    protocol: 'string',
    status: 'number',
    contentLength: 'number',
    takesTrailers: 'boolean',
    maxForwards: 'number',
  },
  fields: ['list', ['row', 'string', 'string', 'boolean']],
}

export function headState(head: Http2Head): HeadState {
  const { authority, contentLength, maxForwards, method, path, protocol, query, scheme, status, takesTrailers } = head
  return {
    facts: { method, scheme, authority, path, query, protocol, status, contentLength, takesTrailers, maxForwards },
    fields: head.fields.map(({ isNever, name, value }) => [name, value, isNever]),
  }
}

export function headFrom({ facts, fields }: HeadState, names: NameTable): Http2Head {
  const made = fields.map(([name, value, isNever]) => {
    const bytes = Buffer.from(name, 'latin1')
    return new Field(names.get(bytes, 0, bytes.length), value, isNever)
  })
  return new Http2Head(made, facts)
}
