import { headers, nothingDelivered } from '../../../contracts/words.ts'
import type { Tier } from '../../../contracts/words.ts'
import type { Fields, HeaderEdits } from '../route/fields.ts'
import type { Answer, ReplyEdits, ReplyMessage } from './streams.ts'

/**
 * Fields of a reply's head that the access log wants, as the caller gets them. A head can be read only while it passes,
 * so they are copied then. Reused with its reply.
 */
export class LoggedFields {
  private readonly values = new Map<string, string>()

  get(name: string): string | undefined {
    return this.values.get(name)
  }

  keepReply(names: readonly string[], reply: ReplyMessage, edits: ReplyEdits, tier: Tier): void {
    const { cookie, destination, filters, isFromAgent, route } = edits
    const all = [route, destination, cookie, ...(filters ?? [])].filter((one) => one !== null)
    for (const name of names) {
      if (name === headers.tier) {
        this.values.set(name, tier)
        continue
      }
      const isLeftOut = all.some(({ drop }) => drop.has(name)) || (name === headers.error && !isFromAgent)
      this.set(name, (isLeftOut ? undefined : reply.header(name)) ?? added(all, name))
    }
  }

  keepAnswer(names: readonly string[], answer: Answer, edits: readonly HeaderEdits[] | null, tier: Tier): void {
    const { body, code, status } = answer
    for (const name of names) {
      if (name === headers.tier) this.set(name, code === 'E_CENTER_NOT_READY' ? nothingDelivered : tier)
      else if (name === headers.error) this.set(name, code)
      else if (name === 'content-length') {
        this.set(name, status === 204 || status === 304 ? undefined : String(body.length))
      } else this.set(name, answer.fields.find(([one]) => one === name)?.[1] ?? added(edits ?? [], name))
    }
  }

  get state(): Fields {
    return [...this.values]
  }

  restore(state: Fields): void {
    for (const [name, value] of state) this.values.set(name, value)
  }

  reset(): void {
    if (this.values.size > 0) this.values.clear()
  }

  private set(name: string, value: string | undefined): void {
    if (value === undefined) this.values.delete(name)
    else this.values.set(name, value)
  }
}

function added(edits: readonly HeaderEdits[], name: string): string | undefined {
  for (const { fields } of edits) for (const [one, value] of fields) if (one === name) return value
  return undefined
}
