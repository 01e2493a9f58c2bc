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
  private drop = new Set<string>()
  private count = 0

  set(given: unknown, value: unknown): void {
    const name = this.changed(given)
    const text = fieldValue(name, value)
    this.fields = this.fields.filter(([one]) => one !== name)
    this.drop.add(name)
    this.fields.push([name, text])
  }

  add(given: unknown, value: unknown): void {
    const name = this.changed(given)
    this.fields.push([name, fieldValue(name, value)])
  }

  remove(given: unknown): void {
    const name = this.changed(given)
    this.fields = this.fields.filter(([one]) => one !== name)
    this.drop.add(name)
  }

  header(head: ReadableHead, given: string): string | undefined {
    const name = given.toLowerCase()
    const before = this.drop.has(name) ? undefined : head.header(name)
    return before ?? this.fields.find(([one]) => one === name)?.[1]
  }

  headers(head: ReadableHead): [name: string, value: string][] {
    const all: [string, string][] = []
    head.eachField((name, value) => {
      if (!this.drop.has(name)) all.push([name, value])
    })
    return [...all, ...this.fields]
  }

  /** null = nothing changes. */
  get edits(): HeaderEdits | null {
    return this.count === 0 ? null : { fields: this.fields, drop: this.drop }
  }

  private changed(given: unknown): string {
    const name = fieldName(given)
    if (++this.count > maxEdits) throw new TypeError(`more than ${maxEdits} changes of one head`)
    return name
  }
}
