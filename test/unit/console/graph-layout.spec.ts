import { expect } from 'chai'
import { layOut, nodeHeight, nodeWidth } from '../../../console/graph-layout.ts'

const edge = (text: string) => {
  const [source = '', target = ''] = text.split('>')
  return { source, target }
}

describe('the layout of the service graph', () => {
  it('puts callers left of whom they call, also where a shorter way leads there', () => {
    const { spots } = layOut(['web>orders', 'orders>stock', 'web>stock', 'stock>db'].map(edge))
    const x = (name: string): number => spots.get(name)!.x
    expect(x('web')).to.be.below(x('orders'))
    expect(x('orders')).to.be.below(x('stock'))
    expect(x('stock')).to.be.below(x('db'))
  })

  it('ends with circles and with services that call themselves', () => {
    const { spots } = layOut(['a>b', 'b>c', 'c>a', 'c>c'].map(edge))
    expect([...spots.keys()]).to.have.members(['a', 'b', 'c'])
  })

  it('lets no two nodes overlap and keeps all within its size, with 200 of them', () => {
    const edges = Array.from({ length: 199 }, (_none, at) => edge(`s${Math.floor(at / 3)}>s${at + 1}`))
    const { height, spots, width } = layOut(edges)
    const all = [...spots.values()]
    expect(all).to.have.length(200)
    for (const [at, { x, y }] of all.entries()) {
      expect(x + nodeWidth, String(at)).to.be.at.most(width)
      expect(y + nodeHeight, String(at)).to.be.at.most(height)
      for (const other of all.slice(at + 1))
        expect(Math.abs(other.x - x) >= nodeWidth || Math.abs(other.y - y) >= nodeHeight, String(at)).to.equal(true)
    }
  })

  it('draws the same picture whatever the order of the edges', () => {
    const edges = ['a>b', 'a>c', 'd>c', 'c>e'].map(edge)
    expect(Object.fromEntries(layOut(edges).spots)).to.deep.equal(Object.fromEntries(layOut(edges.toReversed()).spots))
  })

  it('is of nothing small', () => {
    expect(layOut([]).spots.size).to.equal(0)
  })
})
