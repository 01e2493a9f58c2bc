import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'chai'

import { readSnapshotFile } from '../../../../../agent/worker/link/snapshot-file.ts'
import { writeChecked } from '../../../../../agent/control/core/state/checked-file.ts'
import { snapshotFormat } from '../../../../../contracts/snapshot.ts'
import { snapshotOf } from '../../../../support/worker/snapshots.ts'

describe('the snapshot on disk', () => {
  let folder: string
  let file: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-snapshot-'))
    file = join(folder, 'snapshot.json')
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const write = (format: number, body: string, checksum = createHash('sha256').update(body).digest('hex')) =>
    writeFileSync(file, `{"format":${format},"checksum":"${checksum}","body":${body}}\n`)

  it('is what control wrote', async () => {
    const snapshot = snapshotOf({ services: [{ name: 'orders', endpoints: [] }], listen: {}, version: 9 })
    await writeChecked(file, snapshotFormat, snapshot)
    expect(readSnapshotFile(file)).to.deep.equal(JSON.parse(JSON.stringify(snapshot)))
  })

  it('answers no name with the word that nobody knew it', async () => {
    const snapshot = snapshotOf({ services: [{ name: 'orders', endpoints: [] }], listen: {}, version: 9 })
    const names = { orders: 'public/DEFAULT_GROUP@@orders', late: null }
    await writeChecked(file, snapshotFormat, { ...snapshot, names })
    expect(readSnapshotFile(file)!.names).to.deep.equal({ orders: 'public/DEFAULT_GROUP@@orders' })
  })

  it('is undefined when there is none', () => {
    expect(readSnapshotFile(file)).to.equal(undefined)
  })

  for (const [title, damage] of [
    ['cut short', () => writeFileSync(file, '{"format":1,"check')],
    ['with a wrong checksum', () => write(snapshotFormat, '{}', '0'.repeat(64))],
    ['of another format', () => write(snapshotFormat + 1, '{}')],
    ['that is a directory', () => (file = folder)],
  ] as const) {
    it(`is refused ${title} with E_SNAPSHOT_CORRUPT`, () => {
      damage()
      expect(() => readSnapshotFile(file))
        .to.throw()
        .with.property('code', 'E_SNAPSHOT_CORRUPT')
    })
  }
})
