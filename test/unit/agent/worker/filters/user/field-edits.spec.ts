import { expect } from 'chai'
import { FieldEdits, LastEdits } from '../../../../../../agent/worker/filters/user/field-edits.ts'

type Change = (changes: FieldEdits) => void

describe('edits of a head by a filter', () => {
  function edits(...steps: Change[]): FieldEdits {
    const changes = new FieldEdits()
    for (const step of steps) step(changes)
    return changes
  }

  const vary: Change = (changes) => changes.add('Vary', 'accept-encoding')
  const gzip: Change = (changes) => changes.set('content-encoding', 'gzip')
  const away: Change = (changes) => changes.remove('accept-ranges')

  it('are the same object as long as a filter makes the same ones, which a codec then writes once', () => {
    const last = new LastEdits()
    const first = last.of(edits(vary, gzip, away))
    expect(first).to.deep.equal({
      fields: [
        ['vary', 'accept-encoding'],
        ['content-encoding', 'gzip'],
      ],
      drop: new Set(['content-encoding', 'accept-ranges']),
    })
    expect(last.of(edits(vary, gzip, away))).to.equal(first)
    expect(last.of(edits()), 'nothing changes').to.equal(null)
    expect(last.of(edits(vary, gzip, away))).to.equal(first)
  })

  it('are others as soon as a name, a value, the order or what is left out differs', () => {
    const others: Change[][] = [
      [vary, gzip],
      [gzip, vary, away],
      [vary, away],
      [vary, gzip, (changes) => changes.remove('digest')],
      [vary, (changes) => changes.set('content-encoding', 'br'), away],
      [(changes) => changes.add('varied', 'accept-encoding'), gzip, away],
    ]
    for (const steps of others) {
      const last = new LastEdits()
      last.of(edits(vary, gzip, away))
      expect(last.of(edits(...steps))).to.deep.equal(edits(...steps).edits)
    }
  })

  it('show the head as it will be', () => {
    const head = {
      header: (name: string) => (name === 'etag' ? '"1"' : undefined),
      eachField: (visit: (name: string, value: string) => void) => visit('etag', '"1"'),
    }
    const changes = edits(vary)
    expect([changes.header(head, 'ETag'), changes.header(head, 'vary')]).to.deep.equal(['"1"', 'accept-encoding'])
    changes.set('etag', 'W/"1"')
    changes.set('etag', 'W/"2"')
    expect(changes.header(head, 'ETag')).to.equal('W/"2"')
    expect(changes.headers(head)).to.deep.equal([
      ['vary', 'accept-encoding'],
      ['etag', 'W/"2"'],
    ])
    changes.remove('etag')
    expect(changes.header(head, 'etag')).to.equal(undefined)
    expect(changes.edits?.drop).to.deep.equal(new Set(['etag']))
  })
})
