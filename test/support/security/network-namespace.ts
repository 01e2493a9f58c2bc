/** A second host: a network namespace that is joined to ours by a pair of virtual interfaces. Needs root and `ip`. */
import { spawnSync } from 'node:child_process'

export interface PeerNamespace {
  readonly name: string
  /** Ours on the link. */
  readonly here: string
  /** The peer's. */
  readonly there: string
  /** Names of both ends of the link. */
  readonly nearLink: string
  readonly farLink: string
  close(): void
}

/** undefined where namespaces cannot be made. */
export function openPeerNamespace(random: () => number): PeerNamespace | undefined {
  const id = Math.floor(random() * 65_536)
  const [name, near, far] = [`hmesh${id}`, `hmn${id}`, `hmf${id}`]
  // TEST-NET-3's neighbour for benchmarks (RFC 2544): no real network has it
  const network = `198.18.${id >> 8}.${(id & 63) * 4}`
  const last = (id & 63) * 4
  const prefix = network.slice(0, network.lastIndexOf('.'))
  const [here, there] = [`${prefix}.${last + 1}`, `${prefix}.${last + 2}`]
  const ip = (line: string): boolean => spawnSync('ip', line.split(' ')).status === 0
  const close = (): void => {
    ip(`link del ${near}`)
    ip(`netns del ${name}`)
  }
  const isUp =
    ip(`netns add ${name}`) &&
    ip(`link add ${near} type veth peer name ${far}`) &&
    ip(`link set ${far} netns ${name}`) &&
    ip(`addr add ${here}/30 dev ${near}`) &&
    ip(`link set ${near} up`) &&
    ip(`-n ${name} addr add ${there}/30 dev ${far}`) &&
    ip(`-n ${name} link set ${far} up`) &&
    ip(`-n ${name} link set lo up`)
  if (isUp) return { name, here, there, nearLink: near, farLink: far, close }
  close()
  return undefined
}
