import { expect } from 'chai'

import { Base64Reader } from '../../../../../../agent/worker/forward/grpc/base64-pieces.ts'
import { seededRandom } from '../../../../../support/seeded-random.ts'

const read = (pieces: readonly string[]): Buffer | null => {
  const reader = new Base64Reader()
  const found: Buffer[] = []
  for (const piece of pieces) {
    const text = Buffer.from(`--${piece}--`, 'latin1')
    const bytes = reader.take(text, 2, text.length - 2)
    if (bytes === null) return null
    found.push(Buffer.from(bytes))
  }
  return reader.isBetween ? Buffer.concat(found) : null
}

describe('base64 in pieces', () => {
  it('says what was encoded, wherever it is padded and cut', () => {
    const random = seededRandom(12)
    for (let round = 0; round < 300; round++) {
      const parts = Array.from({ length: 1 + Math.floor(random() * 4) }, () =>
        Buffer.from(Array.from({ length: Math.floor(random() * 20) }, () => Math.floor(random() * 256))),
      )
      const text = parts.map((part) => part.toString('base64')).join('')
      const cut = Math.floor(random() * (text.length + 1))
      expect(read([text.slice(0, cut), text.slice(cut)])?.equals(Buffer.concat(parts)), text).to.equal(true)
    }
  })

  it('is malformed with any other letter, too much padding, or an end inside a group', () => {
    for (const text of ['A', 'AA', 'AAA', '====', 'A===', 'AA=A', 'AA A', 'AAA-', 'AAA_', 'AAA\n', 'AAA\xff', '=AAA'])
      expect(read([text]), JSON.stringify(text)).to.equal(null)
  })
})
