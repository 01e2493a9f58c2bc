import { readFileSync } from 'node:fs'

import { MeshError } from '../../../contracts/errors.ts'
import { snapshotFormat } from '../../../contracts/snapshot.ts'
import type { Snapshot } from '../../../contracts/snapshot.ts'

/**
 * The last good snapshot on disk, so that a worker serves before control answers; undefined when there is none. Names
 * that nobody knew when it was written are left out: they are asked for again.
 *
 * Shape: `{"format":1,"checksum":"…","body":…}` as control writes it; the checksum is the lower-case hex sha256 of the
 * JSON text of `body`. Errors: E_SNAPSHOT_CORRUPT for a file that is damaged, unreadable or of another format; the
 * worker then waits for control.
 */
export function readSnapshotFile(file: string): Snapshot | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new MeshError('E_SNAPSHOT_CORRUPT', `${file}: cannot be read; waiting for control`, { cause })
  }
  const head = /^\{"format":(\d+),"checksum":"([0-9a-f]{64})","body":/.exec(text)
  if (head === null) throw corrupt(file, 'not a snapshot file')
  if (Number(head[1]) !== snapshotFormat) throw corrupt(file, `format ${head[1]}, allowed ${snapshotFormat}`)
  const body = text.slice(head[0].length, text.lastIndexOf('}'))
  // loaded here: it costs 1.6 MiB, and a worker without such a file needs none of it
  const { createHash } = process.getBuiltinModule('node:crypto')
  if (createHash('sha256').update(body).digest('hex') !== head[2]) throw corrupt(file, 'the checksum does not hold')
  const snapshot = JSON.parse(body) as Snapshot
  const names = Object.entries(snapshot.names).filter(([, virtualHost]) => virtualHost !== null)
  return { ...snapshot, names: Object.fromEntries(names) }
}

function corrupt(file: string, why: string): MeshError {
  return new MeshError('E_SNAPSHOT_CORRUPT', `${file}: ${why}; waiting for control`)
}
