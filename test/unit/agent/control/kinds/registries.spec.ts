import { expect } from 'chai'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { kindOf, registrySection } from '../../../../../agent/control/kinds/registries.ts'

const control = new URL('../../../../../agent/control/', import.meta.url).pathname

describe('the kinds of registry', () => {
  const nacos = registrySection.parse({
    name: 'main',
    type: 'nacos',
    servers: ['10.0.0.1:8848'],
    group: 'PAY',
    passwordFile: 'secrets/password',
    tls: { ca: 'ca.pem', key: '/etc/key.pem' },
    rulesGroup: 'RULES',
  })
  const file = registrySection.parse({ name: 'files', type: 'file', directory: 'services' })

  it('say which words, rules and files a section has', () => {
    expect(kindOf(nacos).naming(nacos)).to.deep.equal({ namespace: 'public', group: 'PAY', cluster: 'DEFAULT' })
    expect(kindOf(nacos).rulesGroup(nacos)).to.equal('RULES')
    expect(kindOf(nacos).files(nacos)).to.deep.equal([
      { path: ['passwordFile'], file: 'secrets/password', isSecret: true },
      { path: ['tls', 'ca'], file: 'ca.pem', isSecret: false },
      { path: ['tls', 'key'], file: '/etc/key.pem', isSecret: true },
    ])
    expect(kindOf(nacos).conflicts(nacos)).to.deep.equal([
      'usernameFile and passwordFile belong together, one is missing',
    ])
    expect(kindOf(file).naming(file)).to.equal(undefined)
    expect(kindOf(file).files(file)).to.deep.equal([])
  })

  it('take every path from the folder of agent.yaml and leave the section as it was', () => {
    const absolute = (path: string): string => (path.startsWith('/') ? path : `/conf/${path}`)
    expect(kindOf(nacos).located(nacos, absolute)).to.deep.include({
      passwordFile: '/conf/secrets/password',
      tls: { ca: '/conf/ca.pem', key: '/etc/key.pem' },
    })
    expect(kindOf(file).located(file, absolute)).to.deep.include({ directory: '/conf/services' })
    expect(nacos).to.deep.include({ passwordFile: 'secrets/password', tls: { ca: 'ca.pem', key: '/etc/key.pem' } })
  })

  it('are told apart nowhere else in control', () => {
    const comparing = /type (?:===|!==) '(?:nacos|file)'|case '(?:nacos|file)':/
    const found = readdirSync(control, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith('kinds/'))
      .filter((name) => comparing.test(readFileSync(join(control, name), 'utf8')))
    expect(found).to.deep.equal([])
  })
})
