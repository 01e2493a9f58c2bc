/** Tests whether an address lies in one of some networks. Addresses of another family than a network are outside it. */
import { BlockList, isIP } from 'node:net'

export interface SubnetSet {
  has(address: string): boolean
}

/** Networks as `10.0.0.0/8`, `10.0.0.1`, `fd00::/8`; what is no network is left out (control refused it before). */
export function subnetSet(networks: readonly string[]): SubnetSet {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIP(address)
    const prefix = bits === undefined ? (family === 6 ? 128 : 32) : Number(bits)
    if (family === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > (family === 6 ? 128 : 32)) continue
    list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4')
  }
  return {
    has(address) {
      const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
      const family = isIP(plain)
      return family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4')
    },
  }
}
