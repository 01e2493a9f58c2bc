import { expect } from 'chai'
import { configKeyOf, configTypeOf } from '../../../../../registry-adapters/nacos/server/config-key.ts'
import { NacosFault } from '../../../../../registry-adapters/nacos/server/fault.ts'
import { serviceNameOf } from '../../../../../registry-adapters/nacos/server/service-name.ts'

describe('names in requests of Nacos clients', () => {
  it('take the group from the service name before the group parameter', () => {
    expect(serviceNameOf('', 'B', 'A@@orders')).to.deep.equal({ namespace: 'public', group: 'A', name: 'orders' })
    expect(serviceNameOf('dev', 'B', 'orders')).to.deep.equal({ namespace: 'dev', group: 'B', name: 'orders' })
    expect(serviceNameOf(undefined, undefined, 'orders').group).to.equal('DEFAULT_GROUP')
  })

  it('take the colons and dots of Dubbo', () => {
    const name = 'providers:org.apache.dubbo.Demo:1.0.0:'
    expect(serviceNameOf('', '', name).name).to.equal(name)
  })

  for (const bad of ['', 'a b', 'a@@b@@c', 'a\u0000', 'dienst-ü', 'x'.repeat(513), 'G@@'])
    it(`are refused: ${JSON.stringify(bad.slice(0, 20))}`, () => {
      expect(() => serviceNameOf('', '', bad)).to.throw(NacosFault)
    })

  it('of documents hold no path and no space', () => {
    expect(configKeyOf('', 'g', 'app.yaml')).to.deep.equal({ namespace: 'public', group: 'g', dataId: 'app.yaml' })
    for (const bad of ['', '../x', 'a b', 'x'.repeat(257), 5, undefined]) {
      expect(() => configKeyOf('', 'g', bad)).to.throw(NacosFault)
      expect(() => configKeyOf('', bad, 'd')).to.throw(NacosFault)
    }
  })

  it('of types are those of Nacos, else text', () => {
    expect([configTypeOf('YAML'), configTypeOf('exe'), configTypeOf(undefined)]).to.deep.equal(['yaml', 'text', 'text'])
  })
})
