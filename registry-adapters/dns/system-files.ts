/**
 * What the files of the system say about names: the name servers of `resolv.conf`, the addresses of `hosts`. Both are
 * read anew when they change.
 */
import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import type { Clock } from '../../contracts/clock.ts'
import type { NameServer } from './dns-client.ts'

/** Larger files are not read. */
const maxBytes = 4 * 1024 * 1024
/** A file is looked at this often at most. */
const lookMs = 1000
/** As many as the resolver of the system takes. */
const maxServers = 3

/** What `read` makes of the file as it is now; of an empty text while it cannot be read. */
export function fileContent<T>(path: string, clock: Clock, read: (text: string) => T): () => T {
  let stamp = ''
  let lookedAt = -Infinity
  let present = read('')
  return () => {
    const now = clock.monotonic()
    if (now - lookedAt < lookMs) return present
    lookedAt = now
    const found = statSync(path, { throwIfNoEntry: false })
    const mark = found === undefined ? 'none' : `${found.ino} ${found.size} ${found.mtimeMs}`
    if (mark === stamp) return present
    try {
      present = read(found === undefined || found.size > maxBytes ? '' : readFileSync(path, 'utf8'))
      stamp = mark
    } catch {
      // what was read before stays, and the next look tries again
    }
    return present
  }
}

/** `nameserver ADDRESS`, in order. Source: resolv.conf(5). */
export function nameServersIn(text: string): NameServer[] {
  return text
    .split('\n')
    .flatMap((line) => {
      const [word, host = ''] = line.trim().split(/\s+/)
      return word === 'nameserver' && isIP(host.split('%')[0]!) !== 0 ? [{ host, port: 53 }] : []
    })
    .slice(0, maxServers)
}

/** Addresses by name in lower case. Source: hosts(5). */
export function hostsIn(text: string): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.split('#')[0]!.trim().split(/\s+/)
    if (isIP(address) === 0) continue
    for (const name of names) {
      const known = hosts.get(name.toLowerCase())
      if (known === undefined) hosts.set(name.toLowerCase(), [address])
      else if (!known.includes(address)) known.push(address)
    }
  }
  return hosts
}
