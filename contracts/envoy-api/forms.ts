/** All messages that are written down here, by their full names, with what their fields are. */
import * as cluster from './cluster-messages.ts'
import * as core from './core-messages.ts'
import * as discovery from './discovery-messages.ts'
import { endpointMessages } from './endpoint-messages.ts'
import * as listener from './listener-messages.ts'
import type { MessageForms } from './message-form.ts'
import { routeMessages } from './route-messages.ts'
import { tlsMessages } from './tls-messages.ts'

export type FieldKind =
  | { readonly is: 'scalar'; readonly scalar: Scalar }
  | { readonly is: 'wrapper'; readonly scalar: Scalar }
  | { readonly is: 'duration' | 'struct' | 'any' }
  | { readonly is: 'enum'; readonly values: ReadonlyMap<string, number>; readonly names: ReadonlyMap<number, string> }
  | { readonly is: 'message'; readonly name: string }

const scalars = ['string', 'bytes', 'bool', 'uint32', 'double'] as const
export type Scalar = (typeof scalars)[number]

export interface FieldForm {
  readonly name: string
  readonly number: number
  readonly count: 'one' | 'many' | 'map'
  readonly kind: FieldKind
}

export interface Message {
  readonly byName: ReadonlyMap<string, FieldForm>
  readonly byNumber: ReadonlyMap<number, FieldForm>
}

const groups: readonly MessageForms[] = [
  ...Object.values(core),
  ...Object.values(discovery),
  endpointMessages,
  ...Object.values(cluster),
  routeMessages,
  ...Object.values(listener),
  tlsMessages,
]

const wrappers: Readonly<Record<string, Scalar>> = {
  u32value: 'uint32',
  u64value: 'uint32',
  boolvalue: 'bool',
  doublevalue: 'double',
}

const enums = new Map(groups.flatMap((group) => Object.entries(group.enums ?? {})))
const known = new Set(groups.flatMap(({ of, messages }) => Object.keys(messages).map((name) => `${of}.${name}`)))

export const messages: ReadonlyMap<string, Message> = new Map(
  groups.flatMap(({ of, messages: forms }) =>
    Object.entries(forms).map(([name, fields]) => {
      const read = Object.entries(fields).map(([field, form]) => fieldForm(field, form, of))
      const message: Message = {
        byName: new Map(read.map((one) => [one.name, one])),
        byNumber: new Map(read.map((one) => [one.number, one])),
      }
      return [`${of}.${name}`, message] as const
    }),
  ),
)

function fieldForm(name: string, form: string, of: string): FieldForm {
  const [, number, map, list, word] = /^(\d+) (map )?(\[)?([.\w]+)\]?$/.exec(form)!
  const count = map !== undefined ? 'map' : list !== undefined ? 'many' : 'one'
  return { name, number: Number(number), count, kind: kindOf(word!, of) }
}

function kindOf(word: string, of: string): FieldKind {
  const scalar = scalars.find((one) => one === word)
  if (scalar !== undefined) return { is: 'scalar', scalar }
  const wrapped = wrappers[word]
  if (wrapped !== undefined) return { is: 'wrapper', scalar: wrapped }
  if (word === 'duration' || word === 'struct' || word === 'any') return { is: word }
  const values = enums.get(word)
  if (values !== undefined) {
    const entries = Object.entries(values)
    return { is: 'enum', values: new Map(entries), names: new Map(entries.map(([name, value]) => [value, name])) }
  }
  return { is: 'message', name: fullName(word, of) }
}

/** With a dot before it a whole name; else of the same package, or of the only one that has such a message. */
function fullName(word: string, of: string): string {
  if (word.startsWith('.')) return word.slice(1)
  if (known.has(`${of}.${word}`)) return `${of}.${word}`
  const found = groups.filter(({ of: other }) => known.has(`${other}.${word}`))
  if (found.length !== 1) throw new TypeError(`${found.length} messages ${word}`)
  return `${found[0]!.of}.${word}`
}
