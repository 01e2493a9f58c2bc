import type { BodyTransform } from '../../../../contracts/user-filter.ts'
import type { ContentChange } from '../answer.ts'
import { asBuffer } from './as-buffer.ts'
import type { GuardedFilter } from './guarded-filter.ts'
import type { RunningCell } from './running-cell.ts'

/** One piece may grow to so much; what makes more of it has lost its way. */
const maxGrowth = 1_048_576
const nothing = Buffer.alloc(0)

/**
 * What one filter of a user makes of the content of one reply. It gets memory of its own, since a read is overwritten
 * by the next one, which is another caller's.
 */
export class GuardedChange implements ContentChange {
  private readonly filter: GuardedFilter
  private readonly cell: RunningCell
  private readonly transform: BodyTransform

  constructor(filter: GuardedFilter, cell: RunningCell, transform: BodyTransform) {
    this.filter = filter
    this.cell = cell
    this.transform = transform
  }

  take(bytes: Buffer): Buffer {
    // what comes with us keeps nothing that it did not copy
    const given = this.filter.spec.path === undefined ? bytes : Buffer.from(bytes)
    return this.run(() => this.transform.chunk(given))
  }

  end(): Buffer {
    return this.run(() => this.transform.end?.())
  }

  private run(step: () => Uint8Array | void | null | undefined): Buffer {
    const { cell, filter } = this
    cell.enter(filter.number)
    try {
      return bytesOf(step())
    } catch (error) {
      filter.fail('thrown', error)
      throw new Error(`filter ${filter.spec.name} failed in the content of the reply`, { cause: error })
    } finally {
      cell.leave()
    }
  }
}

function bytesOf(made: unknown): Buffer {
  if (made === undefined || made === null) return nothing
  if (!(made instanceof Uint8Array)) throw new TypeError('what it makes of content is no bytes')
  if (made.length > maxGrowth) throw new RangeError(`it makes ${made.length} bytes of one piece, allowed ${maxGrowth}`)
  return asBuffer(made)
}
