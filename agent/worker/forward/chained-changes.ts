import type { ContentChange } from '../filters/answer.ts'

const nothing = Buffer.alloc(0)

/** Both, the first before the second. */
export class ChainedChanges implements ContentChange {
  private readonly first: ContentChange
  private readonly second: ContentChange

  constructor(first: ContentChange, second: ContentChange) {
    this.first = first
    this.second = second
  }

  take(bytes: Buffer): Buffer {
    const between = this.first.take(bytes)
    return between.length === 0 ? nothing : this.second.take(between)
  }

  end(): Buffer {
    const rest = this.first.end()
    return rest.length === 0 ? this.second.end() : Buffer.concat([this.second.take(rest), this.second.end()])
  }
}
