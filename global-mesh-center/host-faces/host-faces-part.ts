/**
 * Stands for the Nacos faces of hosts whose control is dead: their watchdogs bring the connections of clients to the
 * port of the API (`contracts/host-face.ts`). One face for each such host, opened with its first connection and closed
 * when nothing of it is left.
 */
import type { Duplex } from 'node:stream'
import type { LeadingPart, PartDeps } from '../../agent/control/leading-part.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import { kindOf } from '../../agent/control/kinds/registries.ts'
import { every } from '../../contracts/clock.ts'
import { describeError } from '../../contracts/errors.ts'
import { faceKindOf, faceUserField, hostOfFacePath } from '../../contracts/host-face.ts'
import type { CenterConfig } from '../config/types.ts'
import type { KnownHost } from '../hosts/host-table.ts'
import type { ApiUpgrade, ApiUpgrades } from '../rules-api/api-upgrades.ts'
import { HostFace, overlapMs } from './host-face.ts'
import { HostRegistrations } from './host-registrations.ts'

export interface HostFacesDeps extends PartDeps<CenterConfig> {
  known(host: string): KnownHost | undefined
}

const maxHosts = 1000
const maxConnections = 4096
const maxConnectionsPerHost = 256
const sweepMs = 5000

interface Standing {
  readonly face: HostFace
  readonly registrations: HostRegistrations
  /** Monotonic, of its first connection or its last. */
  usedAt: number
}

export class HostFacesPart implements LeadingPart, ApiUpgrades {
  private readonly deps: HostFacesDeps
  private readonly standings = new Map<string, Standing>()
  private stopSweeps: () => void = () => undefined
  private isOpen = false

  constructor(deps: HostFacesDeps) {
    this.deps = deps
  }

  open(): Promise<void> {
    this.isOpen = true
    this.stopSweeps()
    this.stopSweeps = every(this.deps.clock, sweepMs, () => this.sweep())
    return Promise.resolve()
  }

  async close(): Promise<void> {
    this.isOpen = false
    this.stopSweeps()
    const standings = [...this.standings.values()]
    this.standings.clear()
    await Promise.all(standings.map(({ face }) => face.close()))
  }

  faults(): readonly string[] {
    return []
  }

  wants(upgrade: string | undefined): boolean {
    return faceKindOf(upgrade) !== undefined
  }

  /** Rejects with ApiError for every refusal; else the answer accepts, and the connection is ours. */
  async take({ path, headers, user, from }: ApiUpgrade): Promise<(socket: Duplex) => void> {
    const { config, log, metrics } = this.deps
    const host = hostOfFacePath(path)
    const kind = faceKindOf(headers.upgrade)
    try {
      if (host === undefined || kind === undefined) throw new ApiError(404, `${path}: nothing here takes an upgrade`)
      if (user.role !== 'admin' && !(user.role === 'host' && user.name === host))
        throw new ApiError(403, `${user.name} may not register applications of host ${host.slice(0, 253)}`)
      if (!config.hosts.nacosFace) throw new ApiError(403, 'hosts.nacosFace is off at this center')
      if (!this.isOpen) throw new ApiError(503, 'this center does not lead')
      const standing = this.standing(host)
      standing.usedAt = this.deps.clock.monotonic()
      await standing.face.open().catch((error: unknown) => {
        throw new ApiError(503, `no face for host ${host}: ${describeError(error)}`)
      })
      const asked = headers[faceUserField]
      const uid = typeof asked === 'string' && /^[0-9]{1,10}$/.test(asked) ? Number(asked) : undefined
      return (socket) => {
        metrics.count('host_faces_connections_taken', {})
        void standing.face.join(socket, kind, uid, () => {
          standing.usedAt = this.deps.clock.monotonic()
          this.measure()
        })
        this.measure()
      }
    } catch (error) {
      metrics.count('host_faces_refused', {})
      if (error instanceof ApiError && error.status !== 503)
        log.warn(
          { about: host, from, user: user.name },
          `Nacos client of a host from ${from}: refused: ${error.message}`,
        )
      throw error
    }
  }

  private standing(host: string): Standing {
    const known = this.deps.known(host)
    if (known?.report.nacosFace === undefined)
      throw new ApiError(409, `host ${host.slice(0, 253)} has not reported a Nacos face to this center`)
    const present = this.standings.get(host)
    const all = [...this.standings.values()].reduce((sum, { face }) => sum + face.connections, 0)
    if (all >= maxConnections || (present?.face.connections ?? 0) >= maxConnectionsPerHost)
      throw new ApiError(503, `bounds: ${maxConnections} connections, ${maxConnectionsPerHost} of a host`)
    if (present !== undefined) return present
    if (this.standings.size >= maxHosts) throw new ApiError(503, `bound: faces for ${maxHosts} hosts`)
    const { clock, control, callers, config, log, metrics, random } = this.deps
    // a host that is forgotten meanwhile is as it was
    const report = (): KnownHost['report'] => this.deps.known(host)?.report ?? known.report
    const section = config.registries.find((one) =>
      config.nacosFace.registry === undefined
        ? kindOf(one).takesRegistrations(one)
        : one.name === config.nacosFace.registry,
    )
    const registrations = new HostRegistrations({
      registry: () => control.deps.adapters.find(({ name }) => name === section?.name),
      cluster: (section && kindOf(section).naming(section)?.cluster) ?? 'DEFAULT',
      report,
      onChange: () => this.measure(),
    })
    const face = new HostFace({
      clock,
      control,
      metrics,
      random,
      registrations,
      report,
      host,
      log: {
        debug: (fields, message) => log.debug({ about: host, ...fields }, message),
        info: (fields, message) => log.info({ about: host, ...fields }, `host ${host}: ${message}`),
        warn: (fields, message) => log.warn({ about: host, ...fields }, `host ${host}: ${message}`),
        error: (fields, message) => log.error({ about: host, ...fields }, `host ${host}: ${message}`),
      },
      uidOf: (socket) => callers.uidOf(socket),
    })
    const made = { face, registrations, usedAt: clock.monotonic() }
    this.standings.set(host, made)
    this.tell(host, 'standing in', 'this center answers its Nacos clients: no control of the host does', 'warning')
    return made
  }

  private sweep(): void {
    const now = this.deps.clock.monotonic()
    for (const [host, { face, usedAt }] of this.standings) {
      if (!face.isIdle || now - usedAt < overlapMs) continue
      this.standings.delete(host)
      void face.close()
      this.tell(host, 'stood in', 'none of its Nacos clients is left here', 'info')
    }
    this.measure()
  }

  private tell(about: string, what: string, message: string, severity: 'info' | 'warning'): void {
    this.deps.control.timeline.add({ kind: 'host', about, what, message, severity })
    this.deps.log[severity === 'info' ? 'info' : 'warn']({ about }, `host ${about}: ${message}`)
  }

  private measure(): void {
    let connections = 0
    let instances = 0
    for (const { face, registrations } of this.standings.values()) {
      connections += face.connections
      instances += registrations.size
    }
    const { metrics } = this.deps
    metrics.gauge('host_faces', {}, this.standings.size)
    metrics.gauge('host_faces_connections', {}, connections)
    metrics.gauge('host_faces_instances', {}, instances)
  }
}
