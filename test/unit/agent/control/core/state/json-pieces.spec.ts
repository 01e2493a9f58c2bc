import { expect } from 'chai'
import { jsonPieces } from '../../../../../../agent/control/core/state/json-pieces.ts'

describe('JSON in pieces', () => {
  const values: unknown[] = [
    {},
    [],
    null,
    7,
    'a"b',
    { a: 1, b: { c: [1, { d: 'ü' }], e: {} }, f: undefined, __proto__x: null },
    [undefined, 1, [2, [3]]],
    {
      services: Object.fromEntries(
        Array.from({ length: 50 }, (_, index) => [`s"${index}`, { endpoints: [{ port: index }] }]),
      ),
    },
    JSON.parse('{"__proto__":{"a":1},"constructor":2}'),
  ]

  it('is the text that JSON.stringify gives, at every depth', () => {
    for (const value of values)
      for (let depth = 0; depth < 5; depth++)
        expect([...jsonPieces(value, depth)].join(''), `depth ${depth}`).to.equal(JSON.stringify(value))
  })

  it('says of a map what JSON.stringify says of an object with its keys, and lists it as it goes', () => {
    const map = new Map<string, unknown>([
      ['__proto__', { a: 1 }],
      ['left out', undefined],
      ['b"', [1]],
    ])
    const pieces = jsonPieces({ services: map, names: new Map() }, 2)
    const seen = Array.from({ length: 5 }, () => pieces.next().value as string)
    expect(seen.join('')).to.equal('{"services":{"__proto__":{"a":1}')
    map.set('late', 2)
    expect(seen.join('') + [...pieces].join('')).to.equal(
      '{"services":{"__proto__":{"a":1},"b\\"":[1],"late":2},"names":{}}',
    )
  })

  it('has a piece of its own for each member down to the depth', () => {
    const pieces = [...jsonPieces({ services: { a: { x: [1, 2] }, b: { x: [3] } } }, 2)]
    expect(pieces).to.include('{"x":[1,2]}')
    expect(pieces).to.include('{"x":[3]}')
  })
})
