import type { Tallies } from '../../observe/tallies.ts'
import { Fault } from '../../../../http1/fault.ts'

/**
 * Counts a fault of the codec if it is one of its bounds (R34); the other faults are seen in the request metrics by
 * their code.
 */
export function tallyFault(tallies: Tallies, fault: number): void {
  switch (fault) {
    case Fault.requestLineTooLong:
      tallies.requestLineLimits++
      break
    case Fault.headTooLarge:
      tallies.headLimits++
      break
    case Fault.tooManyFields:
      tallies.fieldLimits++
      break
    case Fault.chunkLineTooLong:
      tallies.chunkLineLimits++
      break
    case Fault.chunkExtensionsTooLarge:
      tallies.chunkExtensionLimits++
      break
    case Fault.trailersTooLarge:
      tallies.trailerLimits++
      break
    default:
  }
}
