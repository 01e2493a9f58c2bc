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
        ['x-team', '[masked]'],
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

  it('hides what rules set, add and match, and metadata, under any name; names and words of the mesh stay', () => {
    expect(
      mask({
        requestHeaders: { set: [['x-key', 's1']], add: [['x-other', 's2']], remove: ['x-gone'] },
        matches: [
          {
            uri: { prefix: '/a' },
            headers: { 'x-tenant': { exact: 's3' }, 'x-any': { present: true } },
            withoutHeaders: { 'x-b': { regex: 's4' } },
            queryParams: { q: { prefix: 's5' } },
          },
        ],
        hosts: ['a', 'b'],
        metadata: { owner: 's6', version: 'v1', 'hostmesh.app-port': '80' },
      }),
    ).to.deep.equal({
      requestHeaders: { set: [['x-key', '[masked]']], add: [['x-other', '[masked]']], remove: ['x-gone'] },
      matches: [
        {
          uri: { prefix: '/a' },
          headers: { 'x-tenant': { exact: '[masked]' }, 'x-any': { present: true } },
          withoutHeaders: { 'x-b': { regex: '[masked]' } },
          queryParams: { q: { prefix: '[masked]' } },
        },
      ],
      hosts: ['a', 'b'],
      metadata: { owner: '[masked]', version: 'v1', 'hostmesh.app-port': '80' },
    })
  })

  it('hides what an external authorizer is told besides, and the values of headers that policies ask for', () => {
    const policies = [
      {
        rules: [
          {
            when: [
              { key: 'request.headers[x-gate]', values: ['s1'], notValues: ['s2'] },
              { key: 'source.ip', values: ['10.0.0.0/8'] },
            ],
          },
        ],
      },
    ]
    const call = { kind: 'http', requestFields: ['cookie'], moreFields: { 'x-gate': 's3' } }
    const sso = { service: 'sso', includeAdditionalHeadersInCheck: { 'x-gate': 's4' } }
    const shown = mask({ policies, call, sso })
    expect(JSON.stringify(shown)).to.not.match(/s[1-4]"/)
    expect(JSON.stringify(shown)).to.include('10.0.0.0/8').and.include('"x-gate"').and.include('cookie')
  })
})
