/**
 * Addresses that a caller may name where the mesh knows no instance (`x-mesh-fallback`, an attribute of private RPC).
 * Whoever follows it dials as the agent's own user and from this host, so the networks of the operator are not enough:
 * never followed is what no endpoint of a registry may be (link-local addresses, metadata services, …) and where this
 * host's agent itself listens. Loopback is only where a network of the operator is one of loopback; `0.0.0.0/0` is not.
 */
import { forbiddenAddress, plainAddress } from './forbidden-address.ts'
import { interfaceAddresses, isListeningAt } from './listening-at.ts'
import type { ListeningAddress } from './snapshot.ts'
import { subnetSet } from './subnet.ts'
import type { SubnetSet } from './subnet.ts'

export class FallbackAddresses {
  private readonly allowed: SubnetSet
  private readonly allowedLoopback: SubnetSet
  private readonly own: readonly ListeningAddress[]

  /** `networks`: in CIDR form. `own`: see `MeshSpec.ownAddresses`. */
  constructor(networks: readonly string[], own: readonly ListeningAddress[]) {
    this.allowed = subnetSet(networks)
    this.allowedLoopback = subnetSet(networks.filter(isLoopbackNetwork))
    this.own = own
  }

  /** The address as it may be dialed; undefined = it is no IP address, or not allowed. */
  find(address: string, port: number): string | undefined {
    const plain = plainAddress(address)
    if (!this.allowed.has(plain)) return undefined
    const forbidden = forbiddenAddress(plain)
    if (forbidden !== undefined && !(forbidden === 'loopback' && this.allowedLoopback.has(plain))) return undefined
    const isOwn = this.own.some((one) => one.port === port && isListeningAt(one.address, plain, interfaceAddresses))
    return isOwn ? undefined : plain
  }
}

/** Of a network in CIDR form. */
export function isLoopbackNetwork(network: string): boolean {
  return forbiddenAddress(network.split('/', 1)[0]!) === 'loopback'
}
