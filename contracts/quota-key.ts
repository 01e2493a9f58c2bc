/**
 * Whose place a connection takes: the peer's address, which it cannot choose; of IPv6 its /64, which one host has as a
 * whole.
 */
export function quotaKey(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  const [head = '', tail = ''] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === '' ? [] : tail.split(':')
  while (address.includes('::') && groups.length + rest.length < 8) groups.push('0')
  return `${[...groups, ...rest].slice(0, 4).join(':')}::/64`
}
