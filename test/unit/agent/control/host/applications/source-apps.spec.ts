import { expect } from 'chai'
import { sourceAppsByUid } from '../../../../../../agent/control/host/applications/source-apps.ts'
import type { Application } from '../../../../../../agent/control/host/applications/application.ts'

const application = (name: string, user: string | number | undefined): Application =>
  ({
    id: name,
    service: { namespace: 'public', group: 'g', name },
    user,
    metadata: { version: 'v1' },
    labels: { team: 't' },
  }) as unknown as Application

describe('calling applications', () => {
  it('are known by the user that they run as, by name or number', () => {
    const byUid = sourceAppsByUid(
      [application('web', 'www'), application('batch', 1001), application('none', undefined)],
      (name) => (name === 'www' ? 33 : undefined),
      () => expect.fail('no problem expected'),
    )
    expect(Object.keys(byUid)).to.deep.equal(['33', '1001'])
    expect(byUid['33']).to.deep.equal({
      app: 'web',
      namespace: 'public',
      labels: { app: 'web', version: 'v1', team: 't' },
    })
  })

  it('of one user cannot be told apart, and of an unknown one are not guessed: both are reported', () => {
    const problems: string[] = []
    const byUid = sourceAppsByUid(
      [application('web', 33), application('api', 33), application('ghost', 'nobody-here')],
      () => undefined,
      (message) => void problems.push(message),
    )
    expect(byUid['33']!.app).to.equal('api')
    expect(problems).to.deep.equal([
      'ghost: user "nobody-here" does not exist; its calls are not attributed to it',
      'web: user 33 already stands for api; give each application its own user',
    ])
  })
})
