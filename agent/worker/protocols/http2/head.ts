import { Field as FieldId } from '../../../../http1/field-names.ts'
import { isForbiddenInTrailers } from '../../../../http1/field-names.ts'
import type { FieldVisitor, Fields } from '../../forward/streams.ts'
import type { Field } from './hpack/field.ts'

/** Pseudo fields of a block, and what was found out while it was read. '' = absent, -1 = not said. */
export type HeadFacts = Pick<
  Http2Head,
  | 'method'
  | 'scheme'
  | 'authority'
  | 'path'
  | 'query'
  | 'protocol'
  | 'status'
  | 'contentLength'
  | 'takesTrailers'
  | 'maxForwards'
>

/**
 * One header block as it was read: a head of a request or a reply, or trailers. Never changed, so it may be kept and
 * shared: the same bytes may give the same object again. `fields`: those that are no pseudo fields, as they came, Host
 * and Content-Length included.
 */
export class Http2Head {
  readonly fields: readonly Field[]
  readonly method: string
  readonly scheme: string
  /** Lower case; of `:authority`, else of Host. */
  readonly authority: string
  /** `:path` without its query. */
  readonly path: string
  readonly query: string
  /** Of extended CONNECT. */
  readonly protocol: string
  /** 0 in requests and trailers. */
  readonly status: number
  readonly contentLength: number
  /** `TE: trailers`. */
  readonly takesTrailers: boolean
  readonly maxForwards: number
  /** How often it was read. */
  uses = 0
  /** What a writer made of it the last time, and under which conditions it may be written again; the writer's own. */
  written: object | null = null

  constructor(fields: readonly Field[], facts: HeadFacts) {
    this.fields = fields
    this.method = facts.method
    this.scheme = facts.scheme
    this.authority = facts.authority
    this.path = facts.path
    this.query = facts.query
    this.protocol = facts.protocol
    this.status = facts.status
    this.contentLength = facts.contentLength
    this.takesTrailers = facts.takesTrailers
    this.maxForwards = facts.maxForwards
  }

  /** First value of a field; cookie crumbs as one (R39). */
  header(name: string): string | undefined {
    if (name === 'cookie') return this.joined(name, '; ')
    const { fields } = this
    for (let i = 0; i < fields.length; i++) if (fields[i]!.name === name) return fields[i]!.value
    return name === 'host' && this.authority !== '' ? this.authority : undefined
  }

  /** All values of a field, joined. */
  headerValues(name: string): string | undefined {
    return this.joined(name, name === 'cookie' ? '; ' : ',') ?? (name === 'host' ? this.header(name) : undefined)
  }

  private joined(name: string, separator: string): string | undefined {
    let values: string | undefined
    for (const field of this.fields) {
      if (field.name !== name) continue
      values = values === undefined ? field.value : `${values}${separator}${field.value}`
    }
    return values
  }

  has(id: FieldId): boolean {
    for (const field of this.fields) if (field.id === id) return true
    return false
  }

  /**
   * Tells the fields that mean something to any protocol: without framing, Host and TE, cookie crumbs as one field
   * (R39).
   */
  eachField(visit: FieldVisitor): void {
    let hasCookie = false
    for (const { id, name, value } of this.fields) {
      if (id === FieldId.host || id === FieldId.contentLength || id === FieldId.te) continue
      if (id !== FieldId.cookie) {
        visit(name, value)
      } else if (!hasCookie) {
        hasCookie = true
        visit(name, this.header('cookie')!)
      }
    }
  }

  /** As trailers: those that may pass (R16); null when there are none. */
  trailerFields(): Fields | null {
    const passing = this.fields.filter(({ id }) => !isForbiddenInTrailers(id))
    return passing.length === 0 ? null : passing.map(({ name, value }) => [name, value] as const)
  }
}
