import { expect } from 'chai'
import { Auth } from '../../../../../registry-adapters/nacos/server/auth.ts'
import { NacosFault } from '../../../../../registry-adapters/nacos/server/fault.ts'

const nobody = { token: undefined, username: undefined, password: undefined }

function manualAuth(maxTokens = 10): { auth: Auth; pass: (ms: number) => void } {
  let now = 0
  const users = [{ username: 'app', password: 'right' }]
  const auth = new Auth({ users, tokenTtlSeconds: 60, maxTokens, now: () => now })
  return { auth, pass: (ms) => void (now += ms) }
}

describe('auth of the Nacos-compatible server', () => {
  it('gives a token for the right password, and takes it until it expires', () => {
    const { auth, pass } = manualAuth()
    const { accessToken, tokenTtl } = auth.login('app', 'right')
    expect(tokenTtl).to.equal(60)
    auth.check({ ...nobody, token: accessToken })
    pass(60_000)
    expect(() => auth.check({ ...nobody, token: accessToken })).to.throw(NacosFault, 'token expired!')
  })

  it('refuses a wrong name, a wrong password, no password, a made-up token and nothing', () => {
    const { auth } = manualAuth()
    expect(() => auth.login('other', 'right')).to.throw(NacosFault, 'user not found!')
    expect(() => auth.login('app', 'wrong')).to.throw(NacosFault, 'user not found!')
    expect(() => auth.login('app', undefined))
      .to.throw(NacosFault)
      .with.property('http', 403)
    expect(() => auth.login(undefined, undefined))
      .to.throw(NacosFault)
      .with.property('http', 400)
    expect(() => auth.check({ ...nobody, token: 'made-up' })).to.throw(NacosFault, 'token invalid!')
    expect(() => auth.check(nobody))
      .to.throw(NacosFault)
      .with.property('kind', 'denied')
  })

  it('takes name and password in place of a token, as 1.x clients send them', () => {
    const { auth } = manualAuth()
    auth.check({ ...nobody, username: 'app', password: 'right' })
    expect(() => auth.check({ ...nobody, username: 'app', password: 'wrong' })).to.throw(NacosFault)
  })

  it('drops the oldest token above its bound', () => {
    const { auth } = manualAuth(2)
    const [first, , third] = [1, 2, 3].map(() => auth.login('app', 'right').accessToken)
    expect(() => auth.check({ ...nobody, token: first })).to.throw(NacosFault, 'token invalid!')
    auth.check({ ...nobody, token: third })
  })

  it('takes any login and any request when it is off', () => {
    const auth = new Auth({ users: undefined, tokenTtlSeconds: 60, maxTokens: 1, now: () => 0 })
    expect(auth.login('anyone', 'anything')).to.include({ accessToken: 'AUTH_DISABLED', username: 'anyone' })
    auth.check(nobody)
  })
})
