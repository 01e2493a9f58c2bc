/** Secrets whose files may be replaced while we run (a rotated password). */
import { isDeepStrictEqual } from 'node:util'
import { describeError } from '../../../contracts/errors.ts'
import type { AdapterDeps } from '../../../contracts/registry-adapter.ts'
import { fileStamp } from './file-stamp.ts'

/** Files are looked at this often at most. */
const lookMs = 1000

/**
 * What the files hold now: read again when one of them changed, the same object while what they say is the same. While
 * they cannot be read (half replaced, wrong rights), the last good content stays, and that is logged once per state of
 * the files.
 */
export function renewedSecret<T>(
  files: readonly string[],
  first: T,
  read: () => T,
  { clock, log }: Pick<AdapterDeps, 'clock' | 'log'>,
): () => T {
  let present = first
  let seen = stampOf(files)
  let lookedAt = clock.monotonic()
  return () => {
    const now = clock.monotonic()
    if (now - lookedAt < lookMs) return present
    lookedAt = now
    const stamp = stampOf(files)
    if (stamp === seen) return present
    seen = stamp
    try {
      const found = read()
      if (!isDeepStrictEqual(found, present)) {
        present = found
        log.info({ files }, 'credentials were replaced; the new ones are used from now on')
      }
    } catch (error) {
      log.warn({ files }, `${describeError(error)}; the credentials read before stay in use`)
    }
    return present
  }
}

function stampOf(files: readonly string[]): string {
  return files.map(fileStamp).join(', ')
}
