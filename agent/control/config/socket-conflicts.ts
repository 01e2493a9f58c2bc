import { maxSocketPathBytes } from '../../../native/socket-address.ts'
import type { AgentConfig } from './types.ts'

/** What is wrong with `outbound.sockets` beside their fields: paths that are taken or too long, unknown users. */
export function socketConflicts(
  config: AgentConfig,
  report: (path: readonly PropertyKey[], message: string) => void,
): void {
  const taken = new Map([[config.admin.socket, 'admin.socket']])
  for (const [at, { gid, group, path, uid, user }] of config.outbound.sockets.entries()) {
    const place = ['outbound', 'sockets', at] as const
    const bytes = Buffer.byteLength(path)
    if (bytes > maxSocketPathBytes) {
      report([...place, 'path'], `${path}: ${bytes} bytes, allowed ${maxSocketPathBytes} for a unix socket`)
    }
    const other = taken.get(path)
    if (other !== undefined) report([...place, 'path'], `${path} is taken by ${other}; each socket needs its own`)
    taken.set(path, `outbound.sockets[${at}].path`)
    if (user !== undefined && uid === undefined) report([...place, 'user'], `/etc/passwd has no user ${user}`)
    if (group !== undefined && gid === undefined) report([...place, 'group'], `/etc/group has no group ${group}`)
  }
}
