import { expect } from 'chai'
import { forbiddenAddress, plainAddress } from '../../../contracts/forbidden-address.ts'

const asHex = (address: string): string => {
  const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number]
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}
const turned = (address: string): string =>
  asHex(
    address
      .split('.')
      .map((part) => 255 - Number(part))
      .join('.'),
  )

/** Ways to write an IPv4 address as an IPv6 one. */
const spellings: Readonly<Record<string, (address: string) => string>> = {
  mapped: (one) => `::ffff:${one}`,
  'mapped, in hexadecimal': (one) => `::ffff:${asHex(one)}`,
  'mapped, in full': (one) => `0:0:0:0:0:FFFF:${asHex(one)}`,
  translated: (one) => `::ffff:0:${one}`,
  compatible: (one) => `::${one}`,
  NAT64: (one) => `64:ff9b::${one}`,
  'NAT64 for local use': (one) => `64:ff9b:1::${one}`,
  'NAT64 with a prefix of 48 bits': (one) => {
    const [a, b, c, d] = one.split('.').map(Number) as [number, number, number, number]
    return `64:ff9b:1:${((a << 8) | b).toString(16)}:${c.toString(16)}:${(d << 8).toString(16)}::`
  },
  '6to4': (one) => `2002:${asHex(one)}::1`,
  'Teredo server': (one) => `2001:0:${asHex(one)}:0:0:f7f7:f7f7`,
  'Teredo client': (one) => `2001:0:808:808:0:0:${turned(one)}`,
  ISATAP: (one) => `fd99::5efe:${one}`,
}

describe('an address to which no call is carried', () => {
  const forbidden: Readonly<Record<string, string>> = {
    '127.0.0.1': 'loopback',
    '127.255.255.254': 'loopback',
    '169.254.169.254': 'link-local',
    '169.254.170.2': 'link-local',
    '100.100.100.200': 'metadata-service',
    '168.63.129.16': 'metadata-service',
    '192.0.0.192': 'metadata-service',
    '0.0.0.0': 'unspecified',
    '224.0.0.1': 'multicast',
    '255.255.255.255': 'multicast',
  }
  for (const [address, reason] of Object.entries(forbidden)) {
    it(`is ${address}, in every spelling: ${reason}`, () => {
      expect(forbiddenAddress(address)).to.equal(reason)
      for (const [name, spell] of Object.entries(spellings)) {
        // :: is the unspecified address itself, 0.0.0.x behind it are addresses of their own
        if (address === '0.0.0.0' && name === 'compatible') continue
        for (const spelled of [spell(address), `${spell(address)}%eth0`])
          expect(forbiddenAddress(spelled), `${name}: ${spelled}`).to.equal(reason)
      }
    })
  }

  it('is loopback, link-local, metadata, unspecified and multicast in IPv6', () => {
    const own: Readonly<Record<string, string>> = {
      '::1': 'loopback',
      '0:0:0:0:0:0:0:1': 'loopback',
      'fe80::1': 'link-local',
      'febf::a9fe:a9fe': 'link-local',
      'fd00:ec2::254': 'metadata-service',
      'FD00:0EC2:0::23': 'metadata-service',
      'fd20:ce::254': 'metadata-service',
      'fd00:c1::a9fe:a9fe': 'metadata-service',
      'fd00:42::42': 'metadata-service',
      '::': 'unspecified',
      'ff02::1': 'multicast',
    }
    for (const [address, reason] of Object.entries(own)) expect(forbiddenAddress(address), address).to.equal(reason)
  })

  it('is no ordinary one, in any spelling', () => {
    for (const address of ['10.0.0.1', '192.168.1.1', '100.64.0.1', '8.8.8.8', '168.63.129.17', '192.0.2.1']) {
      expect(forbiddenAddress(address), address).to.equal(undefined)
      for (const spell of Object.values(spellings))
        expect(forbiddenAddress(spell(address)), spell(address)).to.equal(undefined)
    }
    for (const address of ['2001:db8::1', 'fd00::1', 'fd00:ec3::254', '2a00:1450::1', 'orders', ''])
      expect(forbiddenAddress(address), address).to.equal(undefined)
  })

  it('is told by its plain form where it is a mapped one', () => {
    expect(plainAddress('::ffff:10.0.0.1')).to.equal('10.0.0.1')
    expect(plainAddress('0:0:0:0:0:ffff:a00:1')).to.equal('10.0.0.1')
    expect(plainAddress('::ffff:10.0.0.1%eth0')).to.equal('10.0.0.1')
    expect(plainAddress('2001:db8::1%7')).to.equal('2001:db8::1')
    for (const address of ['10.0.0.1', '2001:db8::1', '::1', 'a', '64:ff9b::a00:1'])
      expect(plainAddress(address)).to.equal(address)
  })
})
