import { expect } from 'chai'
import type { VerifiedToken } from '../../../../../agent/worker/route/verified-token.ts'
import { matchRoute } from '../../../../../agent/worker/route/virtual-host.ts'
import { compiled, request, resource, rules } from '../../../../support/routing.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'

const outbound = 'hostmesh.io/side: Outbound'
const verified = 'jwtRules: [{ issuer: https://issuer.example.com, jwksUri: https://issuer.example.com/keys }]'

describe('routes by claims of a token', () => {
  function hostOf(match: string) {
    const text = [
      resource(
        'VirtualService',
        `hosts: [orders]\nhttp:\n- name: by-claim\n  match: [${match}]\n  directResponse: { status: 200 }\n- name: others\n  directResponse: { status: 404 }`,
      ),
      resource('RequestAuthentication', verified, 'users', outbound),
    ]
    return rules(text.join('---\n')).virtualHost(keyOf('orders')).spec
  }

  function routed(match: string, claims?: Record<string, unknown>): string {
    const token: VerifiedToken | null = claims === undefined ? null : { principal: 'i/alice', claims }
    return matchRoute(compiled(hostOf(match)), request(), token)!.spec.name
  }

  it('are taken where the claim is so: a text, one of a list, a number, one inside another', () => {
    const groups = '{ headers: { "@request.auth.claims.groups": { exact: testers } } }'
    expect(routed(groups, { groups: 'testers' })).to.equal('by-claim')
    expect(routed(groups, { groups: ['dev', 'testers'] })).to.equal('by-claim')
    expect(routed(groups, { groups: ['dev'] })).to.equal('others')
    expect(routed(groups, { Groups: 'testers' })).to.equal('others')
    expect(routed('{ headers: { "@request.auth.claims.level": { exact: "3" } } }', { level: 3 })).to.equal('by-claim')
    const role = '{ headers: { "@request.auth.claims.realm.role": { prefix: ad } } }'
    expect(routed(role, { realm: { role: 'admin' } })).to.equal('by-claim')
    const named = '{ headers: { "@request.auth.claims[https://a.example/b][c]": {} } }'
    expect(routed(named, { 'https://a.example/b': { c: 'x' } })).to.equal('by-claim')
    expect(routed(named, { 'https://a.example/b': {} })).to.equal('others')
  })

  it('compare text outside ASCII as the text that it is', () => {
    const claim = (match: string): string => `{ headers: { "@request.auth.claims.dept": ${match} } }`
    for (const match of ['{ exact: 张三 }', '{ prefix: 张 }', '{ regex: "[张李]." }'])
      expect(routed(claim(match), { dept: '张三' }), match).to.equal('by-claim')
    expect(routed(claim('{ exact: é }'), { dept: 'é' })).to.equal('by-claim')
    expect(routed(claim('{ exact: é }'), { dept: 'Ã©' })).to.equal('others')
  })

  it('are never taken for what is not there: no token, names that every object has, a field of that name', () => {
    const sub = '{ headers: { "@request.auth.claims.sub": {} } }'
    expect(routed(sub)).to.equal('others')
    expect(routed('{ headers: { "@request.auth.claims.constructor": {} } }', { sub: 'a' })).to.equal('others')
    const fields = { '@request.auth.claims.sub': 'alice' }
    expect(matchRoute(compiled(hostOf(sub)), request({ headers: fields }), null)!.spec.name).to.equal('others')
  })

  it('are left by withoutHeaders where any value of the claim is so, and taken without a token', () => {
    const match = '{ withoutHeaders: { "@request.auth.claims.groups": { exact: banned } } }'
    expect(routed(match, { groups: ['dev', 'banned'] })).to.equal('others')
    expect(routed(match, { groups: ['dev'] })).to.equal('by-claim')
    expect(routed(match)).to.equal('by-claim')
  })

  it('stand beside the rules about tokens of the side where they are chosen, and of no other', () => {
    const host = hostOf('{ headers: { "@request.auth.claims.sub": {} } }')
    expect(host).to.deep.include({ verifiesFirst: true })
    expect(host.authentication!.rules.map(({ policy }) => policy)).to.deep.equal(['public/users'])
    const inbound = rules(resource('RequestAuthentication', verified, 'users')).virtualHost(keyOf('orders')).spec
    expect(inbound).to.not.have.any.keys('authentication', 'verifiesFirst')
  })
})
