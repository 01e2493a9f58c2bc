/**
 * Names of our sockets in systemd's descriptor store, and the sockets that it passes at our start (sd_listen_fds(3)).
 */
import type { ShardName } from '../../contracts/handoff.ts'

const firstPassed = 3
/** Longest FDNAME that systemd takes. */
const maxNameBytes = 255
const prefix = 'hostmesh'

export interface PassedSocket {
  readonly descriptor: number
  /** undefined: not of our store but of a socket unit; `unitName` is then its FileDescriptorName. */
  readonly shard: ShardName | undefined
  readonly unitName: string
}

/** No colon and nothing outside ASCII may be in it; undefined when it would be too long for the store. */
export function storeName(shard: ShardName): string | undefined {
  const parts = [prefix, String(shard.shard), String(shard.port), encode(shard.address), encode(shard.name)]
  const name = parts.join('|')
  return name.length <= maxNameBytes ? name : undefined
}

export function readStoreName(name: string): ShardName | undefined {
  const [first, shard = '', port = '', address = '', listener = ''] = name.split('|')
  if (first !== prefix || !/^[0-9]+$/.test(shard) || !/^[0-9]+$/.test(port)) return undefined
  try {
    return {
      name: decodeURIComponent(listener),
      shard: Number(shard),
      address: decodeURIComponent(address),
      port: Number(port),
    }
  } catch {
    return undefined
  }
}

export function passedSockets(
  environment: {
    readonly LISTEN_FDS?: string | undefined
    readonly LISTEN_PID?: string | undefined
    readonly LISTEN_FDNAMES?: string | undefined
  },
  pid: number,
): PassedSocket[] {
  const count = Number(environment.LISTEN_FDS ?? 0)
  if (!Number.isInteger(count) || count < 1 || Number(environment.LISTEN_PID) !== pid) return []
  const names = (environment.LISTEN_FDNAMES ?? '').split(':')
  return Array.from({ length: count }, (_, position) => {
    const unitName = names[position] ?? 'unknown'
    return { descriptor: firstPassed + position, shard: readStoreName(unitName), unitName }
  })
}

function encode(text: string): string {
  return encodeURIComponent(text)
}
