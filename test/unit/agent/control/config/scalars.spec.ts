import { expect } from 'chai'
import {
  logFormat,
  parseDuration,
  parseHostPort,
  parsePortRange,
  parseSize,
} from '../../../../../agent/control/config/scalars.ts'

describe('values of the configuration', () => {
  it('read times with a unit only', () => {
    expect(['250ms', '5s', '1.5m', '2h', '1d'].map(parseDuration)).to.deep.equal([
      250, 5000, 90_000, 7_200_000, 86_400_000,
    ])
    for (const bad of [5, '5', '5 sec', '-1s', '', '1e3s', null])
      expect(parseDuration(bad), String(bad)).to.equal(undefined)
  })

  it('read sizes with binary units or as bytes', () => {
    expect(['512B', '64KiB', '1GiB', 7].map(parseSize)).to.deep.equal([512, 65_536, 1_073_741_824, 7])
    for (const bad of ['64K', '64kb', -1, 1.5]) expect(parseSize(bad), String(bad)).to.equal(undefined)
  })

  it('read addresses with ports, names only where they are allowed', () => {
    expect(parseHostPort('[::1]:80', false)).to.deep.equal({ host: '::1', port: 80 })
    expect(parseHostPort('nacos.example.com:8848', true)).to.deep.equal({ host: 'nacos.example.com', port: 8848 })
    for (const bad of ['nacos:8848', '1.2.3.4', '1.2.3.4:0', '1.2.3.4:65536', '::1:80', '[1.2.3.4]:80', '300.1.1.1:80'])
      expect(parseHostPort(bad, false), bad).to.equal(undefined)
    expect(parseHostPort('300.1.1.1:80', true)).to.equal(undefined)
  })

  it('read a format of the access log as it stands in a block of YAML or was written for Envoy, and no second line', () => {
    const format = logFormat()
    for (const text of ['%PROTOCOL% x', '%PROTOCOL% x\n', '%PROTOCOL% x\r\n'])
      expect(format.parse(text), JSON.stringify(text)).to.equal('%PROTOCOL% x')
    expect(format.parse('%PROTOCOL%\t%BYTES_SENT%\n')).to.equal('%PROTOCOL%\t%BYTES_SENT%')
    for (const bad of ['', '\n', '%PROTOCOL%\n\n', 'a\nb', 'a\u001b[2J', '%NOTHING%', 7, 'x'.repeat(4097)])
      expect(format.safeParse(bad).success, JSON.stringify(bad)).to.equal(false)
  })

  it('read port ranges that go upwards', () => {
    expect(parsePortRange('20000-20999')).to.deep.equal({ first: 20_000, last: 20_999 })
    for (const bad of ['2-1', '0-5', '1-70000', '1', 'a-b']) expect(parsePortRange(bad), bad).to.equal(undefined)
  })
})
