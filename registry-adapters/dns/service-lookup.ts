/**
 * One look at what name servers say of a service: its addresses at one port, or the targets of its SRV records with
 * their addresses.
 */
import { endpointAt } from '../../contracts/endpoint.ts'
import type { Endpoint } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import { lookedAtShare } from '../../contracts/registry-adapter.ts'
import { follow } from './aliases.ts'
import type { Addresses, Resolved } from './addresses.ts'
import type { DnsAdapterConfig } from './config.ts'
import type { DnsClient } from './dns-client.ts'
import { isDnsName } from './names.ts'
import { targetsIn } from './records.ts'
import type { SrvTarget } from './records.ts'

export interface Look {
  readonly endpoints: readonly Endpoint[]
  /** How long it may be used, as the name servers say. */
  readonly ttlMs: number
  /** Targets whose addresses nobody could say; the others are used. */
  readonly lost: number
}

/** Targets of one service that are looked up; the others of the list are left out. */
const maxTargets = 1000
/** The largest weight that an endpoint has. */
const maxWeight = 10_000
/** A target of weight 0 among others that have one: chosen very seldom. */
const leastWeight = 0.01
/** A list of which a part could not be heard is asked for again so soon. */
const partMs = 5000

/** Rejects with a MeshError when nothing could be heard. */
export async function lookUp(
  name: string,
  { record, port, maxEndpoints }: Pick<DnsAdapterConfig, 'record' | 'port' | 'maxEndpoints'>,
  client: Pick<DnsClient, 'ask' | 'room'>,
  addresses: Addresses,
): Promise<Look> {
  if (record === 'srv') return lookUpTargets(name, client, addresses, maxEndpoints * lookedAtShare)
  const { addresses: found, ttlMs } = await addresses.resolve(name)
  return { endpoints: found.map((address) => endpointAt(address, port, { metadata: { host: name } })), ttlMs, lost: 0 }
}

async function lookUpTargets(
  name: string,
  client: Pick<DnsClient, 'ask' | 'room'>,
  addresses: Addresses,
  most: number,
): Promise<Look> {
  const said = await follow(name, (one) => client.ask(one, 'SRV'), targetsIn)
  const told = addresses.told(said.answer)
  const targets = said.values.filter(({ host }) => isDnsName(host)).slice(0, maxTargets)
  const asked: Promise<Resolved | MeshError>[] = []
  for (const { host } of targets) {
    const known = told.get(host)
    // one by one: questions that waited in hundreds would live long enough to be taken for old by the collector
    if (known === undefined) await client.room()
    asked.push(
      known === undefined ? addresses.resolve(host).catch((error: MeshError) => error) : Promise.resolve(known),
    )
  }
  const found = await Promise.all(asked)
  let { ttlMs } = said
  const lost = found.filter((one) => one instanceof MeshError)
  if (lost.length === targets.length && lost.length > 0) throw lost[0]!
  if (lost.length > 0) ttlMs = Math.min(ttlMs, partMs)
  const first = Math.min(...targets.map(({ priority }) => priority))
  const weightOf = weights(targets)
  const endpoints: Endpoint[] = []
  for (const [index, target] of targets.entries()) {
    const one = found[index]!
    if (one instanceof MeshError) continue
    ttlMs = Math.min(ttlMs, one.ttlMs)
    for (const address of one.addresses.slice(0, most - endpoints.length))
      endpoints.push(
        endpointAt(address, target.port, {
          weight: weightOf(target),
          // those of later priorities are the last choice
          healthy: target.priority === first,
          metadata: { host: target.host, 'srv.priority': String(target.priority) },
        }),
      )
  }
  return { endpoints, ttlMs, lost: lost.length }
}

/** SRV weights go to 65535, and 0 is the ordinary one where nobody has another (RFC 2782). */
function weights(targets: readonly SrvTarget[]): (target: SrvTarget) => number {
  const most = Math.max(0, ...targets.map(({ weight }) => weight))
  if (most === 0) return () => 1
  const scale = Math.min(1, maxWeight / most)
  return ({ weight }) => (weight === 0 ? leastWeight : weight * scale)
}
