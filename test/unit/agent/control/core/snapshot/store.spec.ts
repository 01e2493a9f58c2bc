import { expect } from 'chai'
import { jsonPieces } from '../../../../../../agent/control/core/state/json-pieces.ts'
import { SnapshotStore } from '../../../../../../agent/control/core/snapshot/store.ts'
import type { MeshSpec, NodeSpec } from '../../../../../../contracts/snapshot.ts'

const node = {} as NodeSpec
const mesh = {} as MeshSpec

describe('the snapshot as it is written', () => {
  it('is the whole of its moment, whatever changes while it is written', () => {
    const store = new SnapshotStore(0, node, mesh, () => {})
    store.setName('orders', 'public/DEFAULT_GROUP@@orders')
    store.setName('__proto__', null)
    const whole = JSON.stringify(store.whole(7))
    const pieces = jsonPieces(store.records(7), 2)
    const first = pieces.next().value as string
    store.setName('users', null)
    store.setName('orders', undefined)
    store.take()
    expect(first + [...pieces].join('')).to.equal(whole)
  })
})

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
