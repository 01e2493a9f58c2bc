import { expect } from 'chai'
import { pathReadings } from '../../../../../../agent/worker/filters/authorization/path-readings.ts'
import { judged, policy } from '../../../../../support/authorization.ts'

const denied = (values: string) =>
  judged(policy(`action: DENY\nrules: [{ to: [{ operation: { paths: [${values}] } }] }]`))
const allowed = (values: string) => judged(policy(`rules: [{ to: [{ operation: { paths: [${values}] } }] }]`))

/** What an application may take for /admin or something below it. */
const spellings = [
  '/admin/users',
  '//admin/users',
  '/./admin/users',
  '/x/../admin/users',
  '/x/..//admin/users',
  '/x//../admin/users',
  '/%61dmin/users',
  '/%2561dmin/users',
  '/admin%2fusers',
  '/admin%2Fusers',
  '/%2e/admin/users',
  '/x/%2e%2e/admin/users',
  '/x%2f..%2fadmin/users',
  '/\\admin/users',
  '\\admin/users',
  '/admin\\users',
  '/admin;v=1/users',
  '/x/..;/admin/users',
  '/x/..;a=b/admin/users',
  '/admin%3bv/users',
  '/ADMIN/users',
  '/Admin/users',
  '/x/%252e%252e/admin/users',
  '/admin/%00/users',
  '/%c0%afadmin/users',
  '/%e0%80%afadmin/users',
  '/x/%E0%80%AE%e0%80%ae%e0%80%afadmin/users',
  '/%f0%80%80%afadmin/users',
  '/%f8%80%80%80%afadmin/users',
  '/%fc%80%80%80%80%afadmin/users',
  '/%25e0%2580%25afadmin/users',
  '/%e0%81%a1dmin/users',
  '/%25252525252561dmin/users',
]

describe('a path that a policy is about', () => {
  it('is denied however it is spelt', () => {
    const app = denied('/admin*')
    for (const path of spellings) expect(app.ask({ path }).isAllowed, path).to.equal(false)
    for (const path of ['/', '/adm', '/x/admin', '/public/..x/y', '/a%20b', '/a;b/c'])
      expect(app.ask({ path }).isAllowed, path).to.equal(true)
  })

  it('is denied by its template and by its end as well', () => {
    for (const path of ['//a//users', '/a/%75sers', '/A/USERS', '/a/b/../users', '/a/users;x'])
      for (const app of [denied('"/{*}/users"'), denied('"*/users"')])
        expect(app.ask({ path }).isAllowed, path).to.equal(false)
  })

  it('is allowed only if no spelling leads elsewhere', () => {
    const app = allowed('/public/*')
    for (const path of ['/public/a', '/public/a.b', '/public/a%20b', '/public/a;v=1/b', '/public/x/../y'])
      expect(app.ask({ path }).isAllowed, path).to.equal(true)
    // characters of two, three and four bytes; a surrogate, a number beyond Unicode, text of another code page
    for (const path of [
      '/public/%c3%bc',
      '/public/%e0%a0%80%e4%bd%a0%e2%82%ac',
      '/public/%f0%90%80%80%f0%9f%98%80',
      '/public/%ed%a0%80',
      '/public/%f5%80%80%80',
      '/public/%fc',
      '/public/%c4%e3',
    ])
      expect(app.ask({ path }).isAllowed, path).to.equal(true)
    for (const path of [
      '/public/../admin',
      '/public/..;/admin',
      '/public/%2e%2e/admin',
      '/public/..%2fadmin',
      '/public/..\\admin',
      '/public//../../admin',
      '/public/%252e%252e/admin',
      '/public/%00',
      '/public/..%e0%80%afadmin',
      '/public/..%f0%80%80%afadmin',
      '/public/%e0%80%ae%e0%80%ae/admin',
      '/PUBLIC/a',
      '/admin',
    ])
      expect(app.ask({ path }).isAllowed, path).to.equal(false)
  })

  it('that is excepted from a denial is excepted in one spelling only', () => {
    const app = judged(policy('action: DENY\nrules: [{ to: [{ operation: { notPaths: [/public/*] } }] }]'))
    expect(app.ask({ path: '/public/a' }).isAllowed).to.equal(true)
    for (const path of ['/public/../admin', '/PUBLIC/a', '/public/..;/admin'])
      expect(app.ask({ path }).isAllowed, path).to.equal(false)
  })

  it('that is excepted from an allowance is excepted however it is spelt', () => {
    const app = judged(policy('rules: [{ to: [{ operation: { paths: ["*"], notPaths: [/admin*] } }] }]'))
    expect(app.ask({ path: '/a' }).isAllowed).to.equal(true)
    for (const path of spellings) expect(app.ask({ path }).isAllowed, path).to.equal(false)
  })

  it('has one reading, without work, in the ordinary case', () => {
    const only = ['']
    expect(pathReadings('/v1/items/7', only)).to.equal(only)
    expect(only).to.deep.equal(['/v1/items/7'])
  })

  it('cannot cost more than its length allows', () => {
    expect(pathReadings(`/${'%2e%2e/'.repeat(2000)}`, [''])).to.equal(null)
    const readings = pathReadings(`/${'../;x/%2e/'.repeat(400)}`, [''])
    expect(readings!.length).to.be.below(64)
  })
})

describe('a method or header that a policy is about', () => {
  it('is denied in any case, and allowed in its own', () => {
    const rule = 'rules: [{ to: [{ operation: { methods: [DELETE] } }] }]'
    for (const method of ['DELETE', 'delete', 'Delete'])
      expect(judged(policy(`action: DENY\n${rule}`)).ask({ method }).isAllowed, method).to.equal(false)
    expect(judged(policy(rule)).ask({ method: 'delete' }).isAllowed).to.equal(false)
  })

  it('is denied if any of its values is, and allowed if the whole is', () => {
    const rule = 'rules: [{ when: [{ key: "request.headers[x-role]", values: [guest] }] }]'
    const deny = judged(policy(`action: DENY\n${rule}`))
    for (const role of ['guest', 'a,guest', 'guest, a', 'a, guest ,b'])
      expect(deny.ask({ headers: { 'x-role': role } }).isAllowed, role).to.equal(false)
    expect(judged(policy(rule)).ask({ headers: { 'x-role': 'guest,admin' } }).isAllowed).to.equal(false)
    const present = judged(
      policy('action: DENY\nrules: [{ when: [{ key: "request.headers[x-debug]", values: ["*"] }] }]'),
    )
    expect(present.ask({ headers: { 'x-debug': '' } }).isAllowed).to.equal(false)
  })
})
