import { expect } from 'chai'
import { Field, fieldKinds, fieldOf, knownFields } from '../../../http1/field-names.ts'
import { bytes } from '../../support/http1/codec-words.ts'

describe('known field names', () => {
  it('are found in any case and nothing else is', () => {
    for (const [name, field] of knownFields) {
      for (const text of [name, name.toUpperCase(), name[0]?.toUpperCase() + name.slice(1)])
        expect(fieldOf(bytes(`>${text}<`), 1, text.length + 1), text).to.equal(field)
      expect(fieldOf(bytes(`${name}x`), 0, name.length + 1), `${name}x`).to.be.oneOf([Field.other, Field.xMeshOther])
    }
    expect(new Set(knownFields.map(([, field]) => field)).size).to.equal(fieldKinds - 3)
    expect(fieldOf(bytes('x'), 0, 1)).to.equal(Field.other)
    expect(fieldOf(bytes('x-mesh-'), 0, 7)).to.equal(Field.xMeshOther)
    for (const text of ['Content_Length', 'content.length', 'Transfer_Encoding', 'TRANSFER.ENCODING'])
      expect(fieldOf(bytes(text), 0, text.length), text).to.equal(Field.framingLookAlike)
    for (const text of ['contentxlength', 'content_lengtn', 'transfer_encodings'])
      expect(fieldOf(bytes(text), 0, text.length), text).to.equal(Field.other)
  })
})
