import { expect } from 'chai'
import { PortAllocator } from '../../../../../../agent/control/host/ports/allocator.ts'

const range = { first: 20_000, last: 20_009 }

describe('the port allocator', () => {
  it('gives the same name the same port on every start, whatever else was asked before', () => {
    const one = new PortAllocator({ first: 20_000, last: 20_999 })
    const other = new PortAllocator({ first: 20_000, last: 20_999 })
    const port = one.assign('public/DEFAULT_GROUP@@orders')
    other.assign('public/DEFAULT_GROUP@@ledger')
    expect(other.assign('public/DEFAULT_GROUP@@orders')).to.equal(port)
    expect(port).to.be.within(20_000, 20_999)
  })

  it('keeps what an earlier run has given, also when hashes collide', () => {
    const first = new PortAllocator(range)
    const names = Array.from({ length: 8 }, (_, index) => `service-${index}`)
    const ports = names.map((name) => first.assign(name))
    expect(new Set(ports).size).to.equal(8)
    const second = new PortAllocator(range, first.remembered())
    expect(names.toReversed().map((name) => second.assign(name))).to.deep.equal(ports.toReversed())
  })

  it('gives a pinned port to the name that pins it and moves the one that had it by allocation', () => {
    const allocator = new PortAllocator(range)
    const port = allocator.assign('a')
    expect(allocator.assign('b', port)).to.equal(port)
    expect(allocator.portOf('a')).to.not.equal(port)
    expect(allocator.portOf('a')).to.be.within(range.first, range.last)
  })

  it('names the owner when a pinned port is pinned already, and hurts nobody else', () => {
    const allocator = new PortAllocator(range, {}, new Map([[15_001, 'outbound.http']]))
    allocator.assign('a', 30_000)
    expect(() => allocator.assign('b', 30_000)).to.throw('port 30000 for b: already the port of a')
    expect(() => allocator.assign('c', 15_001)).to.throw('already the port of outbound.http')
    expect(allocator.portOf('a')).to.equal(30_000)
    expect(allocator.assign('d')).to.be.within(range.first, range.last)
  })

  it('takes a port that nobody uses any more only when the range is full, and then says that it is full', () => {
    const allocator = new PortAllocator(range)
    const names = Array.from({ length: 10 }, (_, index) => `service-${index}`)
    for (const name of names) allocator.assign(name)
    expect(() => allocator.assign('one-more')).to.throw('all 10 ports of 20000-20009 are in use')
    const port = allocator.portOf('service-3')
    allocator.release('service-3')
    expect(allocator.assign('one-more')).to.equal(port)
    expect(allocator.portOf('service-3')).to.equal(undefined)
  })

  it('never gives a port that another listener of the agent has, nor one outside the range from an old file', () => {
    const taken = new Map(Array.from({ length: 9 }, (_, index) => [20_000 + index, 'somebody'] as const))
    const allocator = new PortAllocator(range, { a: 20_003, b: 31_000 }, taken)
    expect(allocator.assign('a')).to.equal(20_009)
    expect(allocator.portOf('b')).to.equal(undefined)
  })
})
