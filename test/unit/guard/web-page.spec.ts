import { expect } from 'chai'
import { isOwnPage, webPageRefusal } from '../../../guard/web-page.ts'

describe('the guard against web pages', () => {
  const names = new Set(['nacos.internal'])

  it('lets programs in that use an address, localhost, or a name that was allowed', () => {
    for (const host of [
      '127.0.0.1',
      '127.0.0.1:8848',
      '[::1]:8848',
      'localhost:8848',
      'LOCALHOST',
      'Nacos.Internal:8848',
    ])
      expect(webPageRefusal({ host }, names), host).to.equal(undefined)
    expect(webPageRefusal({ host: '127.0.0.1', 'sec-fetch-site': 'none' }, names), 'typed by a person').to.equal(
      undefined,
    )
    expect(webPageRefusal({}, 'any')).to.equal(undefined)
  })

  it('refuses names, which can be rebound, and whatever a browser says about a foreign page', () => {
    for (const host of [
      'evil.example.com',
      'evil.example.com:8848',
      '127.0.0.1.evil.example.com',
      'localhost.evil.com',
      '',
      undefined,
      'a:b:c',
      '127.0.0.1:8848@evil',
    ])
      expect(webPageRefusal(host === undefined ? {} : { host }, names), String(host)).to.match(/is no address/)
    for (const marks of [
      { origin: 'http://evil.example.com' },
      { origin: 'null' },
      { origin: 'http://127.0.0.1:8848' },
    ])
      expect(webPageRefusal({ host: '127.0.0.1', ...marks }, 'any')).to.match(/web pages/)
    for (const site of ['cross-site', 'same-site', 'same-origin'])
      expect(webPageRefusal({ host: '127.0.0.1', 'sec-fetch-site': site }, 'any'), site).to.match(/web pages/)
  })

  it('knows a page that the port itself served, by an address that nobody can rebind', () => {
    const own = { host: '127.0.0.1:15000', 'sec-fetch-site': 'same-origin' } as const
    for (const headers of [own, { ...own, origin: 'http://127.0.0.1:15000' }, { ...own, host: 'localhost:8080' }])
      expect(isOwnPage(headers), JSON.stringify(headers)).to.equal(true)
    for (const headers of [
      { host: '127.0.0.1:15000' },
      { ...own, 'sec-fetch-site': 'same-site' },
      { ...own, 'sec-fetch-site': 'cross-site' },
      { ...own, 'sec-fetch-site': 'none' },
      { ...own, host: 'rebound.example.com:15000' },
      { ...own, origin: 'http://127.0.0.1:9999' },
      { ...own, origin: 'null' },
    ] as const)
      expect(isOwnPage(headers), JSON.stringify(headers)).to.equal(false)
  })
})
