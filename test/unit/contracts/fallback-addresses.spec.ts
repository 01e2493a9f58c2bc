import { networkInterfaces } from 'node:os'
import { expect } from 'chai'

import { FallbackAddresses, isLoopbackNetwork } from '../../../contracts/fallback-addresses.ts'

const own = [
  { address: '127.0.0.1', port: 15_000 },
  { address: '0.0.0.0', port: 8848 },
  { address: '10.1.0.1', port: 15_443 },
]

describe('addresses that x-mesh-fallback may name', () => {
  it('are those of the networks of the operator', () => {
    const addresses = new FallbackAddresses(['10.1.0.0/16', 'fd00::/8'], [])
    expect(addresses.find('10.1.2.3', 80)).to.equal('10.1.2.3')
    expect(addresses.find('::ffff:10.1.2.3', 80), 'mapped').to.equal('10.1.2.3')
    expect(addresses.find('::ffff:a01:203', 80), 'mapped, in hexadecimal').to.equal('10.1.2.3')
    expect(addresses.find('fd00::1', 80)).to.equal('fd00::1')
    for (const address of ['10.2.0.1', 'fe80::1', '::1', 'localhost', ''])
      expect(addresses.find(address, 80), address).to.equal(undefined)
  })

  it('are none that no endpoint may have, whatever the networks', () => {
    const everything = new FallbackAddresses(['0.0.0.0/0', '::/0'], [])
    const refused = ['169.254.169.254', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe', 'fe80::1%lo', '100.100.100.200']
    for (const address of [...refused, '0.0.0.0', '::', '224.0.0.1', '127.0.0.1', '::1', '::ffff:7f00:1'])
      expect(everything.find(address, 80), address).to.equal(undefined)
    expect(everything.find('8.8.8.8', 80)).to.equal('8.8.8.8')
  })

  it('are on loopback only where a network of loopback is named', () => {
    const addresses = new FallbackAddresses(['0.0.0.0/0', '127.0.0.1/32'], own)
    expect(addresses.find('127.0.0.1', 80)).to.equal('127.0.0.1')
    expect(addresses.find('127.0.0.2', 80)).to.equal(undefined)
    expect(['127.0.0.0/8', '127.0.0.1/32', '::1/128'].map(isLoopbackNetwork)).to.deep.equal([true, true, true])
    expect(['0.0.0.0/0', '10.0.0.0/8', '::/0'].map(isLoopbackNetwork)).to.deep.equal([false, false, false])
  })

  it('are none where the agent itself listens, in any spelling', () => {
    const addresses = new FallbackAddresses(['127.0.0.0/8', '::1/128', '0.0.0.0/0'], own)
    for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1'])
      expect(addresses.find(address, 15_000), address).to.equal(undefined)
    for (const address of ['127.0.0.1', '127.9.9.9', '::1'])
      expect(addresses.find(address, 8848), address).to.equal(undefined)
    expect(addresses.find('10.1.0.1', 15_443)).to.equal(undefined)
    expect(addresses.find('127.0.0.1', 15_001), 'another port').to.equal('127.0.0.1')
    expect(addresses.find('10.1.0.2', 15_000), 'another host').to.equal('10.1.0.2')
    expect(addresses.find('10.1.0.2', 15_443), 'another host').to.equal('10.1.0.2')
  })

  it('are none of an interface where the agent listens on all of them', () => {
    const all = Object.values(networkInterfaces()).flatMap((some) => some ?? [])
    const addresses = new FallbackAddresses(['0.0.0.0/0', '127.0.0.0/8'], own)
    for (const { address, family } of all)
      if (family === 'IPv4') expect(addresses.find(address, 8848), address).to.equal(undefined)
  })
})
