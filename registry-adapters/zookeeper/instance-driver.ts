/**
 * Writes local applications as nodes that live with the session. ZooKeeper knows no unhealthy instance: one that is
 * unhealthy or switched off has no node. A successor takes a node over in one step, so that nobody finds the instance
 * missing during a restart.
 */
import { endpointId, serviceKey } from '../../contracts/endpoint.ts'
import type { Registration } from '../../contracts/registry-adapter.ts'
import type { RegistrationDriver } from '../kept-registration.ts'
import type { Layout } from './layouts/layout.ts'
import type { ZooKeeperNodes } from './nodes.ts'
import type { ZooKeeperSession } from './session.ts'
import { Code, isRefusal } from './words.ts'

/** How often a node that should be ours is looked for, in case somebody removed it. */
const lookMs = 15_000
/** Somebody else writes the same node at the same moment; more than this is a quarrel that the next try ends. */
const maxTurns = 5

export class InstanceDriver implements RegistrationDriver {
  readonly renewMs = lookMs
  private readonly layout: Layout
  private readonly nodes: ZooKeeperNodes
  private readonly session: ZooKeeperSession
  /** Where each instance was written last: in some layouts another weight is another node. */
  private readonly paths = new Map<string, string>()

  constructor(layout: Layout, nodes: ZooKeeperNodes, session: ZooKeeperSession) {
    this.layout = layout
    this.nodes = nodes
    this.session = session
  }

  async write(registration: Registration): Promise<void> {
    // at the start there is no session yet, which is no failure
    await this.session.settled()
    const instance = instanceOf(registration)
    const before = this.paths.get(instance)
    if (!registration.healthy || !registration.enabled) {
      await this.nodes.remove(before ?? this.layout.nodeOf(registration).path)
      this.paths.delete(instance)
      return
    }
    const { path, data } = this.layout.nodeOf(registration)
    await this.put(path, data)
    this.paths.set(instance, path)
    // the new one first: nobody may find neither
    for (const old of await this.others(registration, path, before)) await this.nodes.remove(old)
  }

  async renew(registration: Registration): Promise<'ok' | 'unknown'> {
    if (!registration.healthy || !registration.enabled) return 'ok'
    const path = this.paths.get(instanceOf(registration))
    if (path === undefined) return 'unknown'
    const stat = await this.nodes.stat(path)
    return stat?.ephemeralOwner === this.session.id ? 'ok' : 'unknown'
  }

  async remove(registration: Registration): Promise<void> {
    const instance = instanceOf(registration)
    const { path } = this.layout.nodeOf(registration)
    const before = this.paths.get(instance)
    for (const old of await this.others(registration, undefined, before ?? path)) await this.nodes.remove(old)
    this.paths.delete(instance)
  }

  private async put(path: string, data: Buffer): Promise<void> {
    for (let turn = 1; ; turn++) {
      try {
        const stat = await this.nodes.stat(path)
        if (stat === undefined) await this.nodes.createEphemeral(path, data)
        else if (stat.ephemeralOwner === this.session.id) await this.nodes.setData(path, data)
        else await this.nodes.takeOver(path, data)
        return
      } catch (error) {
        const isRace = isRefusal(error, Code.nodeExists) || isRefusal(error, Code.noNode)
        if (!isRace || turn === maxTurns) throw error
      }
    }
  }

  /**
   * Other nodes of the same instance: what we wrote before, and, where the name holds everything, what an earlier
   * process wrote.
   */
  private async others(
    registration: Registration,
    path: string | undefined,
    before: string | undefined,
  ): Promise<Set<string>> {
    const others = new Set<string>()
    if (before !== undefined) others.add(before)
    if (!this.layout.readsData) {
      const { service } = registration
      const directory = this.layout.directoryOf(service.name)
      const id = endpointId(registration)
      for (const child of (await this.nodes.children(directory)) ?? []) {
        const endpoint = this.layout.read(service.name, child, Buffer.alloc(0))
        if (endpoint !== undefined && endpoint !== 'other' && endpointId(endpoint) === id)
          others.add(`${directory}/${child}`)
      }
    }
    if (path !== undefined) others.delete(path)
    return others
  }
}

function instanceOf(registration: Registration): string {
  return `${serviceKey(registration.service)} ${endpointId(registration)}`
}
