import { expect } from 'chai'
import { compilePathRewrite } from '../../../../../agent/worker/route/rewrite.ts'
import type { HttpMatchSpec, RewriteSpec } from '../../../../../contracts/route-spec.ts'
import { request } from '../../../../support/routing.ts'

function rewritten(path: string, rewrite: RewriteSpec, match?: HttpMatchSpec): string | undefined {
  return compilePathRewrite(rewrite, match)?.(request({ path }))
}

describe('a rewrite of the path', () => {
  it('replaces the matched prefix and keeps the rest', () => {
    expect(rewritten('/old/x/y', { uri: '/new' }, { uri: { prefix: '/old' } })).to.equal('/new/x/y')
    expect(rewritten('/old', { uri: '/new' }, { uri: { prefix: '/old' } })).to.equal('/new')
    expect(rewritten('/old/x', { uri: '/' }, { uri: { prefix: '/old/' } })).to.equal('/x')
    expect(rewritten('/OLD/x', { uri: '/new' }, { uri: { prefix: '/old' }, ignoreUriCase: true })).to.equal('/new/x')
  })

  it('replaces the whole path of an exact or regex match', () => {
    expect(rewritten('/old', { uri: '/new' }, { uri: { exact: '/old' } })).to.equal('/new')
    expect(rewritten('/old/1', { uri: '/new' }, { uri: { regex: '/old/.*' } })).to.equal('/new')
  })

  it('stands before the path where no path was matched', () => {
    expect(rewritten('/x', { uri: '/v2/' }, { method: { exact: 'GET' } })).to.equal('/v2/x')
    expect(rewritten('/x', { uri: '/v2/' })).to.equal('/v2/x')
  })

  it('by regex replaces every match, with groups', () => {
    const uriRegex = { match: '/user/([0-9]+)', rewrite: '/u\\1' }
    expect(rewritten('/user/1/user/22', { uriRegex })).to.equal('/u1/u22')
    expect(rewritten('/other', { uriRegex })).to.equal('/other')
    expect(rewritten('/ab', { uriRegex: { match: '^/(.)(.)$', rewrite: '/\\2\\\\\\1\\9' } })).to.equal('/b\\a')
  })

  it('leaves nothing that could end the request line', () => {
    const uriRegex = (rewrite: string): RewriteSpec => ({ uriRegex: { match: '/(.*)', rewrite } })
    expect(rewritten('/a', uriRegex('b \\1'))).to.equal('/b%20a')
    expect(rewritten('/a', uriRegex('/b?\\1#x'))).to.equal('/b%3Fa%23x')
    expect(rewritten('/a', uriRegex('/ü'))).to.equal('/%C3%BC')
    expect(rewritten('/a', uriRegex('/x\r\ny'))).to.equal('/x%0D%0Ay')
    expect(rewritten('/a%20b', { uri: '/n' }, { uri: { prefix: '/a' } }), 'escapes stay as they came').to.equal(
      '/n%20b',
    )
  })

  it('is nothing where the rule rewrites no path', () => {
    expect(compilePathRewrite(undefined, undefined)).to.equal(null)
    expect(compilePathRewrite({ authority: 'a' }, undefined)).to.equal(null)
  })
})
