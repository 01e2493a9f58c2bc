import { expect } from 'chai'

import { BulkMemory, bulkBlockBytes } from '../../../../../agent/worker/transport/bulk-memory.ts'

describe('memory for bulk', () => {
  it('is reused, and bounded: beyond 16 MiB there is none', () => {
    const bulk = new BulkMemory()
    const blocks: Buffer[] = []
    for (let block = bulk.take(); block !== null; block = bulk.take()) blocks.push(block)
    expect(blocks.length * bulkBlockBytes).to.equal(16 * 1024 * 1024)
    bulk.give(blocks[0]!)
    expect(bulk.take()).to.equal(blocks[0])
    for (const block of blocks) bulk.give(block)
    expect(bulk.inUse).to.equal(0)
  })
})
