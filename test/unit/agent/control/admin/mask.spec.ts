import { expect } from 'chai'
import { mask } from '../../../../../agent/control/admin/mask.ts'

describe('masking', () => {
  it('hides values of header edits and of matches under a secret name', () => {
    expect(
      mask({
        set: [
          ['authorization', 'Bearer x'],
          ['x-team', 'a'],
        ],
      }),
    ).to.deep.equal({
      set: [
        ['authorization', '[masked]'],
        ['x-team', 'a'],
      ],
    })
    expect(mask({ headers: { authorization: { exact: 'Bearer x' } } })).to.deep.equal({
      headers: { authorization: { exact: '[masked]' } },
    })
  })

  it('hides every value under a name that smells of a secret, at any depth, and shows names of files', () => {
    const shown = mask({
      passwordFile: '/etc/password',
      password: 'a',
      metadata: { 'app.token': 'b', version: 'v1' },
      list: [{ secretKey: 'c', accessKey: ['d'] }],
      headers: { authorization: 'e', cookie: 'f' },
    })
    expect(shown).to.deep.equal({
      passwordFile: '/etc/password',
      password: '[masked]',
      metadata: { 'app.token': '[masked]', version: 'v1' },
      list: [{ secretKey: '[masked]', accessKey: ['[masked]'] }],
      headers: { authorization: '[masked]', cookie: '[masked]' },
    })
  })
})
