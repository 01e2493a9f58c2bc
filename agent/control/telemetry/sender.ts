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

export const again = (reason: string, afterMs?: number): SendOutcome => ({ kind: 'again', reason, afterMs })
