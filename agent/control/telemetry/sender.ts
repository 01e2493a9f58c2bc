import type { Signal } from '../../../contracts/telemetry.ts'
import type { RecordGroup } from './envelope.ts'

/** What became of a request to a collector. */
export type SendOutcome =
  | { readonly kind: 'taken'; readonly rejected: number; readonly reason: string }
  /** It may take them later. `afterMs`: not before, where it said so. */
  | { readonly kind: 'again'; readonly reason: string; readonly afterMs: number | undefined }
  /** It will never take these. */
  | { readonly kind: 'refused'; readonly reason: string }

/** Speaks the protocol of one collector. Never rejects. */
export interface Sender {
  send(signal: Signal, groups: readonly RecordGroup[]): Promise<SendOutcome>
  close(): void
}

/** What an operator is told of a collector. */
export interface CollectorView {
  readonly signal: Signal
  readonly url: string
  /** It took what it was sent last. */
  readonly isUp: boolean
  /** Why it is not, or what of it cannot be used; undefined = nothing. */
  readonly problem: string | undefined
  readonly queuedBytes: number
}

export const again = (reason: string, afterMs?: number): SendOutcome => ({ kind: 'again', reason, afterMs })
