import type { HeaderEdits } from '../../route/fields.ts'
import { fieldName, fieldValue } from './field-rules.ts'

/** A filter that adds more fields to one head has lost its way. */
const maxEdits = 100

export interface ReadableHead {
  header(name: string): string | undefined
  eachField(visit: (name: string, value: string) => void): void
}

/** What one filter changes in one head, and how the head then reads. */
export class FieldEdits {
  private fields: [name: string, value: string][] = []
  private readonly drop: string[] = []
  private count = 0

  set(given: unknown, value: unknown): void {
    const name = this.changed(given)
    const text = fieldValue(name, value)
    this.leaveOut(name)
    this.fields.push([name, text])
  }

  add(given: unknown, value: unknown): void {
    const name = this.changed(given)
    this.fields.push([name, fieldValue(name, value)])
  }

  remove(given: unknown): void {
    this.leaveOut(this.changed(given))
  }

  header(head: ReadableHead, given: string): string | undefined {
    const name = given.toLowerCase()
    if (this.count === 0) return head.header(name)
    const before = this.drop.includes(name) ? undefined : head.header(name)
    return before ?? this.fields.find(([one]) => one === name)?.[1]
  }

  headers(head: ReadableHead): [name: string, value: string][] {
    const all: [string, string][] = []
    head.eachField((name, value) => {
      if (!this.drop.includes(name)) all.push([name, value])
    })
    return [...all, ...this.fields]
  }

  /** null = nothing changes. */
  get edits(): HeaderEdits | null {
    return this.count === 0 ? null : { fields: this.fields, drop: new Set(this.drop) }
  }

  /** They would be the same as these. */
  isSaidBy({ drop, fields }: HeaderEdits): boolean {
    if (fields.length !== this.fields.length || drop.size !== this.drop.length) return false
    for (let k = 0; k < fields.length; k++) {
      const [name, value] = this.fields[k]!
      if (fields[k]![0] !== name || fields[k]![1] !== value) return false
    }
    return this.drop.every((name) => drop.has(name))
  }

  private leaveOut(name: string): void {
    const { drop, fields } = this
    if (fields.some(([one]) => one === name)) this.fields = fields.filter(([one]) => one !== name)
    if (!drop.includes(name)) drop.push(name)
  }

  private changed(given: unknown): string {
    const name = fieldName(given)
    if (++this.count > maxEdits) throw new TypeError(`more than ${maxEdits} changes of one head`)
    return name
  }
}

/** The edits that a filter made last: mostly it makes the same ones again, which a codec then need not write anew. */
export class LastEdits {
  private last: HeaderEdits | null = null

  /** null = nothing changes. */
  of(changes: FieldEdits): HeaderEdits | null {
    if (this.last !== null && changes.isSaidBy(this.last)) return this.last
    const { edits } = changes
    if (edits !== null) this.last = edits
    return edits
  }
}
