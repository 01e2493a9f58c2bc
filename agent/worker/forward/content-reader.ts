import type { TakenContent } from '../filters/answer.ts'
import type { RequestBody } from './request-body.ts'

/**
 * A filter that reads the content of a request while that waits: told once, in a later turn, when the content is whole
 * or more than `most` bytes of it have come. What is told stays where it is, for the endpoint.
 */
export class ContentReader {
  private readonly body: RequestBody
  private readonly most: number
  private told: ((content: TakenContent) => void) | null
  private soon: NodeJS.Immediate | null = null

  constructor(body: RequestBody, most: number, told: (content: TakenContent) => void) {
    this.body = body
    this.most = most
    this.told = told
  }

  /** Something came. `isFull`: and no more is taken before the request goes on. */
  look(isFull: boolean): void {
    const { body, most } = this
    if (this.told === null || this.soon !== null || !(isFull || body.isDone || body.bytes > most)) return
    this.soon = setImmediate(() => {
      const { told } = this
      this.told = null
      const { replay } = body
      const bytes = Buffer.from(replay.bytes.subarray(0, Math.min(replay.length, most)))
      told!({ bytes, isWhole: body.isDone && body.bytes <= most })
    })
  }

  cancel(): void {
    this.told = null
    if (this.soon !== null) clearImmediate(this.soon)
    this.soon = null
  }
}
