import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { hexAddress } from '../../../native/socket-table.ts'

export interface PortOwner {
  readonly pid: number
  /** For people: cut short. */
  readonly command: string
  /** For comparing: whole. */
  readonly args: readonly string[]
}

/**
 * The processes that listen on an address, or take datagrams there, from /proc; empty where the system does not tell
 * (another user's process, no /proc). Reads many small files: only for conflicts and error messages.
 */
export function portOwners(address: string, port: number, takesDatagrams = false): PortOwner[] {
  const inodes = listeningInodes(address, port, takesDatagrams)
  if (inodes.size === 0) return []
  return processIds()
    .filter((pid) => holdsSocket(pid, inodes))
    .map(ownerOf)
}

/** What was read stands for so long, ms: the listeners of one start are asked for in a row. */
const tableAgeMs = 1000

/**
 * The same answers for many ports at the price of one look at /proc: with hundreds of listeners a look for each would
 * take longer than a start may. A port that the last look did not know is looked for again.
 */
export class PortOwnerTable {
  private readonly now: () => number
  private readAt = Number.NEGATIVE_INFINITY
  private inodes = new Map<string, { readonly host: string; readonly inode: string }[]>()
  private datagramInodes = new Map<string, { readonly host: string; readonly inode: string }[]>()
  private pids = new Map<string, string[]>()

  /** `now` in monotonic ms. */
  constructor(now: () => number) {
    this.now = now
  }

  find(address: string, port: number, takesDatagrams = false): PortOwner[] {
    if (this.now() - this.readAt <= tableAgeMs) {
      const known = this.look(address, port, takesDatagrams)
      if (known.length > 0) return known
    }
    this.inodes = listeningByPort(connections)
    this.datagramInodes = takesDatagrams ? listeningByPort(datagrams) : new Map()
    this.pids = processesBySocket()
    this.readAt = this.now()
    return this.look(address, port, takesDatagrams)
  }

  private look(address: string, port: number, takesDatagrams: boolean): PortOwner[] {
    const inodes = takesDatagrams ? this.datagramInodes : this.inodes
    const found = (inodes.get(hexPortOf(port)) ?? []).filter(({ host }) => isAddress(host, address))
    const pids = new Set(found.flatMap(({ inode }) => this.pids.get(inode) ?? []))
    return [...pids].map(ownerOf)
  }
}

/** Where the kernel lists sockets, and the state of those that listen; a UDP socket that is not connected is closed. */
const connections = { files: ['/proc/net/tcp', '/proc/net/tcp6'], listens: '0A' }
const datagrams = { files: ['/proc/net/udp', '/proc/net/udp6'], listens: '07' }

function listeningInodes(address: string, port: number, takesDatagrams: boolean): Set<string> {
  const found = listeningByPort(takesDatagrams ? datagrams : connections).get(hexPortOf(port)) ?? []
  return new Set(found.filter(({ host }) => isAddress(host, address)).map(({ inode }) => inode))
}

/** Every listening socket, by its port as the kernel prints it. */
function listeningByPort({
  files,
  listens,
}: typeof connections): Map<string, { readonly host: string; readonly inode: string }[]> {
  const byPort = new Map<string, { host: string; inode: string }[]>()
  for (const file of files) {
    for (const line of linesOf(file)) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
      if (state !== listens || inode === undefined) continue
      const [host = '', port = ''] = local.split(':')
      const others = byPort.get(port)
      if (others === undefined) byPort.set(port, [{ host, inode }])
      else others.push({ host, inode })
    }
  }
  return byPort
}

function hexPortOf(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0')
}

/** Whether a listening address, as the kernel prints it, is this one or all addresses. IPv6 is not told apart. */
function isAddress(host: string, address: string): boolean {
  return /^0+$/.test(host) || isIPv6(address) || host.endsWith(hexAddress(address))
}

function ownerOf(pid: string): PortOwner {
  const args = argsOf(pid)
  return { pid: Number(pid), command: args.join(' ').slice(0, 120) || 'unknown', args }
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
  return socketsOf(pid).some((inode) => inodes.has(inode))
}

function processesBySocket(): Map<string, string[]> {
  const bySocket = new Map<string, string[]>()
  for (const pid of processIds()) {
    for (const inode of socketsOf(pid)) {
      const others = bySocket.get(inode)
      if (others === undefined) bySocket.set(inode, [pid])
      else others.push(pid)
    }
  }
  return bySocket
}

/** Inodes of the sockets that a process has open; none where it is gone or another user's. */
function socketsOf(pid: string): string[] {
  const folder = `/proc/${pid}/fd`
  const inodes: string[] = []
  try {
    for (const name of readdirSync(folder)) {
      try {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${name}`))?.[1]
        if (inode !== undefined) inodes.push(inode)
      } catch {
        // Closed since the folder was read.
      }
    }
  } catch {
    // Gone, or another user's.
  }
  return inodes
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
