/** Addresses as bytes to the text by which rules name them. */

export function dottedAddress(bytes: Buffer): string {
  return bytes.join('.')
}

/** Of IPv6: as short as RFC 5952 says. */
export function groupedAddress(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16)).join(':')
  return new URL(`http://[${groups}]`).hostname.slice(1, -1)
}
