import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { removeLeftovers } from '../../../../../../agent/control/core/state/leftovers.ts'

describe('files that a killed control left behind', () => {
  it('go, and nobody else’s do', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hostmesh-leftovers-'))
    const { pid: gone } = spawnSync('true')
    const kept = [
      `snapshot.json.${process.pid}.tmp`,
      'snapshot.json',
      'notes.tmp',
      'a.5x.tmp',
      `admin.sock.${process.pid}`,
    ]
    for (const name of [...kept, `snapshot.json.${gone}.tmp`, `admin.sock.${gone}`])
      writeFileSync(join(folder, name), '')
    expect(removeLeftovers(folder)).to.have.members([`snapshot.json.${gone}.tmp`, `admin.sock.${gone}`])
    expect(readdirSync(folder)).to.have.members(kept)
    expect(removeLeftovers(join(folder, 'no-such'))).to.deep.equal([])
    rmSync(folder, { recursive: true })
  })
})
