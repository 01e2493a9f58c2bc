/** `host:port` or `[::1]:port` in two. */
export function splitAuthority(authority: string): readonly [string, number | undefined] {
  const colon = authority.lastIndexOf(':')
  if (colon < 0 || authority.indexOf(']', colon) >= 0) return [authority, undefined]
  const port = Number(authority.slice(colon + 1))
  return [authority.slice(0, colon), Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined]
}
