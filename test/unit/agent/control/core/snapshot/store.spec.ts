import { expect } from 'chai'
import { SnapshotStore } from '../../../../../../agent/control/core/snapshot/store.ts'
import type { MeshSpec, NodeSpec } from '../../../../../../contracts/snapshot.ts'

const node = {} as NodeSpec
const mesh = {} as MeshSpec

describe('the snapshot of a host without listeners', () => {
  it('has a first version, so that its workers are ready', () => {
    const store = new SnapshotStore(0, node, mesh, () => {})
    expect(store.take()).to.deep.equal({ baseVersion: 0, version: 1, node })
    expect(store.take()).to.equal(undefined)
  })

  it('keeps the version that the disk knew, as long as nothing changes', () => {
    const store = new SnapshotStore(7, node, mesh, () => {})
    expect(store.take()).to.equal(undefined)
    expect(store.version).to.equal(7)
  })
})
