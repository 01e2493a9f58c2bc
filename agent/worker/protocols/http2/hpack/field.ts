import { Field as FieldId, fieldOf } from '../../../../../http1/field-names.ts'
import { isFieldValue } from '../../../../../http1/field-text.ts'

/** What a name is to this protocol. */
export const NameKind = {
  ordinary: 0,
  method: 1,
  scheme: 2,
  authority: 3,
  path: 4,
  status: 5,
  /** `:protocol` of extended CONNECT (RFC 8441). */
  protocol: 6,
  /** A pseudo field that does not exist, which is malformed (RFC 9113 section 8.3). */
  unknownPseudo: 7,
  /** Not a token in lower case (section 8.2.1). */
  malformed: 8,
  /** Of one connection in HTTP/1.1, which is malformed here (section 8.2.2). */
  connection: 9,
} as const
export type NameKind = (typeof NameKind)[keyof typeof NameKind]

const kinds: ReadonlyMap<string, NameKind> = new Map<string, NameKind>([
  [':method', NameKind.method],
  [':scheme', NameKind.scheme],
  [':authority', NameKind.authority],
  [':path', NameKind.path],
  [':status', NameKind.status],
  [':protocol', NameKind.protocol],
  ['connection', NameKind.connection],
  ['proxy-connection', NameKind.connection],
  ['keep-alive', NameKind.connection],
  ['transfer-encoding', NameKind.connection],
  ['upgrade', NameKind.connection],
  ['http2-settings', NameKind.connection],
])

const lowerToken = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/

/** Which kind of name this is. */
export function nameKind(name: string): NameKind {
  const known = kinds.get(name)
  if (known !== undefined) return known
  if (name.startsWith(':')) return NameKind.unknownPseudo
  return lowerToken.test(name) ? NameKind.ordinary : NameKind.malformed
}

/** A name with what is known of it. */
export class FieldName {
  readonly text: string
  readonly kind: NameKind
  /** Its number in `http1/field-names.ts`. */
  readonly id: FieldId

  constructor(text: string) {
    this.text = text
    this.kind = nameKind(text)
    this.id = this.kind === NameKind.ordinary ? fieldOf(Buffer.from(text, 'latin1'), 0, text.length) : FieldId.other
  }
}

/** RFC 7541 section 4.1: what a field costs beyond its bytes. */
const fieldOverhead = 32

/** One field as it was read. Never changed; heads and tables share it. */
export class Field {
  readonly fieldName: FieldName
  readonly name: string
  readonly value: string
  readonly kind: NameKind
  readonly id: FieldId
  /** It must not be put into a table by anybody on the way (RFC 7541 section 7.1.3). */
  readonly isNever: boolean
  /** Its name and value may stand in a message. */
  readonly isSayable: boolean
  /** RFC 7541 section 4.1. */
  readonly size: number
  /** How `encoder.ts` writes it; made when it is written again. */
  wire: Buffer | null = null
  isWritten = false

  constructor(name: FieldName, value: string, isNever: boolean) {
    this.fieldName = name
    this.name = name.text
    this.value = value
    this.kind = name.kind
    this.id = name.id
    this.isNever = isNever
    this.isSayable = name.kind !== NameKind.malformed && isFieldValue(value)
    this.size = name.text.length + value.length + fieldOverhead
  }
}
