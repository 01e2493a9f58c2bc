import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { isIPv6 } from 'node:net'

export interface PortOwner {
  readonly pid: number
  /** For people: cut short. */
  readonly command: string
  /** For comparing: whole. */
  readonly args: readonly string[]
}

/**
 * The processes that listen on an address, from /proc; empty where the system does not tell (another user's process, no /proc). Reads many small files: only for
 * conflicts and error messages.
 */
export function portOwners(address: string, port: number): PortOwner[] {
  const inodes = listeningInodes(address, port)
  if (inodes.size === 0) return []
  return processIds()
    .filter((pid) => holdsSocket(pid, inodes))
    .map((pid) => {
      const args = argsOf(pid)
      return { pid: Number(pid), command: args.join(' ').slice(0, 120) || 'unknown', args }
    })
}

const listenState = '0A'

function listeningInodes(address: string, port: number): Set<string> {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  const wanted = isIPv6(address) ? undefined : hexAddress(address)
  const inodes = new Set<string>()
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of linesOf(file)) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
      const [host = '', found] = local.split(':')
      if (found !== hexPort || state !== listenState || inode === undefined) continue
      if (/^0+$/.test(host) || wanted === undefined || host.endsWith(wanted)) inodes.add(inode)
    }
  }
  return inodes
}

/** The kernel prints an IPv4 address as the hexadecimal of its four bytes, last byte first. */
export function hexAddress(address: string): string {
  return address
    .split('.')
    .reverse()
    .map((part) => Number(part).toString(16).toUpperCase().padStart(2, '0'))
    .join('')
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n').slice(1)
  } catch {
    return []
  }
}

function processIds(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    const folder = `/proc/${pid}/fd`
    return readdirSync(folder).some((name) => {
      try {
        return inodes.has(/^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${name}`))?.[1] ?? '')
      } catch {
        return false
      }
    })
  } catch {
    return false
  }
}

function argsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .filter((part) => part !== '')
  } catch {
    return []
  }
}
