import { expect } from 'chai'
import {
  changeText,
  emptyHead,
  headText,
  partTexts,
  readChange,
  readHead,
  readPart,
} from '../../../../global-mesh-center/store/nacos-log.ts'

describe('the documents of a store in Nacos', () => {
  it('say the same when they are read, a removal too', () => {
    const entry = { revision: 1, key: 'rules/a', id: 'x', at: 5 }
    const head = { ...emptyHead, revision: 1, entries: [entry] }
    expect(readHead('head', headText(head))).to.deep.equal(head)
    const change = { key: 'rules/a', value: undefined, revision: 1, at: 5 }
    expect(readChange('change', changeText(change))).to.deep.equal(change)
  })

  it('are refused by name where somebody changed them by hand, or they are none', () => {
    const text = headText(emptyHead)
    expect(() => readHead('hostmesh.center.head', text.replace('"revision":0', '"revision":9'))).to.throw(
      'document hostmesh.center.head is damaged',
    )
    for (const other of ['', '{}', text.slice(0, 70), 'hello\nworld'])
      expect(() => readHead('head', other)).to.throw('damaged')
    expect(() => readHead('head', changeText({ key: 'a', value: 'b', revision: 1, at: 0 }))).to.throw('format')
  })

  it('hold a snapshot in parts that a server takes, each rule in one, all of them once', () => {
    const entries = Array.from({ length: 10 }, (_, at) => ({
      key: `rules/${at}`,
      value: 'x'.repeat(200_000),
      revision: at + 1,
    }))
    const texts = partTexts({ revision: 10, entries })
    expect(texts.length).to.equal(5)
    for (const text of texts) expect(text.length).to.be.below(1024 * 1024)
    expect(texts.flatMap((text) => readPart('part', text))).to.deep.equal(entries)
    expect(partTexts({ revision: 0, entries: [] })).to.deep.equal([])
  })
})
