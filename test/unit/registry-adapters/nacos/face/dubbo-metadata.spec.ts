import { expect } from 'chai'
import { dialableAddress, dubboMetadata } from '../../../../../registry-adapters/nacos/face/dubbo-metadata.ts'

describe('metadata of Dubbo applications', () => {
  it('names the localhost port in place of the own one, and no port that leads nowhere', () => {
    const metadata = {
      'dubbo.endpoints': '[{"port":20880,"protocol":"dubbo"},{"port":50051,"protocol":"tri"}]',
      'dubbo.metadata-service.url-params': '{"version":"1.0.0","port":"20880","protocol":"dubbo"}',
      'dubbo.metadata.revision': 'r1',
    }
    expect(dubboMetadata(metadata, 20_880, 20_001)).to.deep.equal({
      'dubbo.endpoints': '[{"port":20001,"protocol":"dubbo"}]',
      'dubbo.metadata-service.url-params': '{"version":"1.0.0","port":"20001","protocol":"dubbo"}',
      'dubbo.metadata.revision': 'r1',
    })
  })

  it('comes with an address that Dubbo dials as it is, and others with the plain one', () => {
    expect(dialableAddress({ 'dubbo.endpoints': '[]' }, '127.0.0.1')).to.equal('::ffff:127.0.0.1')
    expect(dialableAddress({ dubbo: '2.0.2', side: 'provider' }, '127.0.0.1')).to.equal('::ffff:127.0.0.1')
    expect(dialableAddress({ dubbo: '2.0.2', side: 'provider' }, '10.0.0.5')).to.equal('10.0.0.5')
    expect(dialableAddress({ side: 'left' }, '127.0.0.1')).to.equal('127.0.0.1')
  })

  it('leaves a metadata service at another port alone', () => {
    const metadata = { 'dubbo.metadata-service.url-params': '{"port":"30000"}' }
    expect(dubboMetadata(metadata, 20_880, 20_001)).to.deep.equal(metadata)
  })

  for (const text of ['', 'x', '{}', 'null', '5', '[null,5]'])
    it(`survives endpoints that are ${text === '' ? 'empty' : text}`, () => {
      const metadata = { 'dubbo.endpoints': text, 'dubbo.metadata-service.url-params': text }
      expect(() => dubboMetadata(metadata, 20_880, 20_001)).not.to.throw()
    })
})
