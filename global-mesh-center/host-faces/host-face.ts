/**
 * The Nacos face of one host whose control is dead, at a center: what its clients register is announced with the
 * application's own address and port, what they discover are instances that may be called in plain. An application
 * whose connection has ended stays announced for a while: its agent may be back, and has to announce it first.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Control } from '../../agent/control/control.ts'
import { listedServices } from '../../agent/control/host/nacos-face/listed-services.ts'
import { plainEndpoints } from '../../agent/control/core/snapshot/relay-targets.ts'
import { serviceKey, type ServiceKey, type ServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { FaceKind } from '../../contracts/host-face.ts'
import type { HostReport } from '../../contracts/host-report.ts'
import type { ReportedFace } from '../../contracts/reported-face.ts'
import { isLoopback } from '../../contracts/ip-literal.ts'
import type { FacePolicy } from '../../guard/face-policy.ts'
import type { AdapterDeps, Subscription } from '../../contracts/registry-adapter.ts'
import type { FaceDeps, FaceServiceListener, NacosFace } from '../../registry-adapters/nacos/face/index.ts'
import type { HostRegistrations } from './host-registrations.ts'
import { TunnelEnds } from './tunnel-ends.ts'

export interface HostFaceDeps extends AdapterDeps {
  readonly host: string
  readonly control: Control
  readonly registrations: HostRegistrations
  /** The newest; its part about the face may be gone. */
  report(): HostReport
  uidOf(socket: Socket): number | undefined
}

/**
 * So long an application whose connection ended stays announced, ms: its client has to find the agent, which has to
 * announce it, and others have to hear. As long as two places overlap with the SDK.
 */
export const overlapMs = 15_000
/** Applications of one host. */
const maxInstances = 500

export class HostFace {
  private readonly deps: HostFaceDeps
  private readonly ends: TunnelEnds
  private face: Promise<NacosFace> | undefined
  private subscriptions = 0
  private isClosed = false

  constructor(deps: HostFaceDeps) {
    this.deps = deps
    this.ends = new TunnelEnds({ uidOf: (socket) => deps.uidOf(socket), ownUid: process.getuid?.() })
  }

  get connections(): number {
    return this.ends.size
  }

  get isIdle(): boolean {
    return this.ends.size === 0 && this.deps.registrations.size === 0
  }

  /** Listens. Rejects when it cannot, or was closed meanwhile; may be tried again. */
  async open(): Promise<void> {
    this.face ??= this.started()
    try {
      await this.face
    } catch (error) {
      this.face = undefined
      throw error
    }
    if (this.isClosed) throw new MeshError('E_CENTER_NOT_READY', 'this center ends')
  }

  /** After `open`: the client's bytes pass from now on. `user`: of the host; undefined = not known. */
  async join(client: Duplex, kind: FaceKind, user: number | undefined, onEnd: () => void): Promise<void> {
    const status = (await this.face)?.status()
    if (status === undefined) client.destroy()
    else this.ends.join(client, user, kind === 'http' ? status.port : status.grpcPort, onEnd)
  }

  /** Takes nothing back: whoever leads next carries on. */
  async close(): Promise<void> {
    this.isClosed = true
    this.ends.close()
    await (await this.face?.catch(() => undefined))?.close()
    this.deps.registrations.release()
  }

  private async started(): Promise<NacosFace> {
    const { createNacosFace } = await import('../../registry-adapters/nacos/face/index.ts')
    const { hostNames } = this.reported()
    const face = createNacosFace(
      { host: '127.0.0.1', port: 0, hostNames, connectionGraceMs: overlapMs, limits: { maxInstances } },
      this.faceDeps(),
    )
    await face.start()
    return face
  }

  private reported(): ReportedFace {
    const { nacosFace } = this.deps.report()
    if (nacosFace === undefined) throw new MeshError('E_APPLICATION_REFUSED', 'its host has no Nacos face any more')
    return nacosFace
  }

  private faceDeps(): FaceDeps {
    const { clock, control, log, metrics, random, registrations } = this.deps
    return {
      clock,
      random,
      log,
      // gauges are of the face of the center's own host
      metrics: { count: (name, labels, amount) => metrics.count(name, labels, amount), gauge: () => undefined },
      policy: () => this.policy(),
      uidOf: (socket) => this.ends.userOf(socket),
      uidOfListener: () => undefined,
      usersOfService: (service, address, port) => this.holders(serviceKey(service), address, port),
      servicesOfUser: () => [],
      restoredApplications: () => [],
      registerApplication: async (application) => registrations.put(application),
      updateApplication: async (application) => registrations.put(application),
      deregisterApplication: (id) => registrations.remove(id),
      subscribeService: (service, listener) => this.subscribe(service, listener),
      listServices: (namespace, limit, signal) => listedServices(control.deps.adapters, namespace, limit, signal),
      configOf: () => undefined,
      isLocalAddress: (address) => isLoopback(address) || this.reported().addresses.includes(address),
    }
  }

  private policy(): FacePolicy {
    const { trusted, grants } = this.reported()
    return {
      trusted: new Set(trusted),
      reads: 'granted',
      writes: 'off',
      rulesGroups: [],
      grants: grants.map(({ user, services, maxWeight, ports }) => ({
        to: { uid: user },
        documents: [],
        writes: false,
        services: services as ServiceKey[],
        maxWeight,
        ports,
      })),
    }
  }

  /** As `usersOfService` of an agent. */
  private holders(key: ServiceKey, address: string, port: number): (number | undefined)[] {
    const lower = key.toLowerCase()
    return this.reported().held.flatMap((one): (number | undefined)[] => {
      if (one.service.toLowerCase() !== lower) return []
      if (one.user >= 0) return [one.user]
      return one.address === address && one.port === port ? [] : [undefined]
    })
  }

  private subscribe(service: ServiceName, listener: FaceServiceListener): Subscription {
    const { core } = this.deps.control
    const key = serviceKey(service)
    const reason = `face of ${this.deps.host} ${++this.subscriptions}`
    let isOver = false
    const tell = (): void => {
      const view = core.directory.view(key)
      if (isOver || view === undefined || (!view.isAnswered && view.set === undefined)) return
      const endpoints = plainEndpoints(core.store, key)
      // an empty list would be taken for the truth, an error is asked again
      if (endpoints !== undefined)
        listener.onEndpoints(endpoints.map(({ address, port, metadata }) => ({ address, port, metadata })))
    }
    core.compiler.need(key, reason)
    const stops = [
      core.onEndpoints((set) => {
        if (set.service === key) setImmediate(tell)
      }),
      core.onAnswered((answered) => {
        if (answered === key) setImmediate(tell)
      }),
    ]
    setImmediate(tell)
    return {
      unsubscribe: () => {
        if (isOver) return
        isOver = true
        for (const stop of stops) stop()
        core.compiler.drop(key, reason)
      },
    }
  }
}
