/** Hosts as a part of a center: reports at the API, a look at silent ones, the page `/hosts`, and a file of both. */
import type { AdminPage } from '../../agent/control/admin/http.ts'
import { columns, either } from '../../agent/control/admin/http.ts'
import type { HostTraffic, LeadingPart, PartDeps } from '../../agent/control/leading-part.ts'
import { probe } from '../../agent/control/host/applications/probe.ts'
import { LogPause } from '../../contracts/log-pause.ts'
import { every } from '../../contracts/clock.ts'
import type { HostReport, HostView, ReportAnswer } from '../../contracts/host-report.ts'
import type { CenterConfig } from '../config/types.ts'
import type { ApiUser } from '../../agent/control/rules-api/api-user.ts'
import { HostNews } from './host-news.ts'
import { HostTable, type KeptHost, type KnownHost } from './host-table.ts'
import { HostsApi } from './hosts-api.ts'
import { SilentHosts, type Place } from './silent-hosts.ts'
import type { UnhealthyInstances } from './unhealthy-instances.ts'

const lookMs = 500
/** Hosts that come (back) within this time are looked at together: a look costs what there are hosts. */
const soonMs = 50
const file = 'hosts.json'
const format = 1
/** The file is this old at most, ms. */
const writeDelayMs = 1000
/** A refused reporter is a line of the log once in this time, ms. */
const refusalLogMs = 60_000

interface Kept {
  readonly hosts: readonly KeptHost[]
  readonly unhealthy: readonly Place[]
}

export interface HostsPartDeps extends PartDeps<CenterConfig> {
  readonly unhealthy: UnhealthyInstances
  /** Instances that agents subscribed to here, at these addresses. */
  instancesAt(addresses: ReadonlySet<string>): readonly Place[]
  /** A host reported: what it is answered. */
  onReport(report: HostReport): ReportAnswer
}

export class HostsPart implements LeadingPart {
  readonly api: HostsApi
  readonly pages: readonly AdminPage[]
  private readonly deps: HostsPartDeps
  private readonly table: HostTable
  private readonly silent: SilentHosts
  private readonly news: HostNews
  private readonly refusals = new LogPause(refusalLogMs)
  private cancel: () => void = () => undefined
  private isOpen = false
  private looksSoon = false

  constructor(deps: HostsPartDeps) {
    this.deps = deps
    const { clock, config, control, metrics, unhealthy } = deps
    const { probeTimeout, ...options } = config.hosts
    this.table = new HostTable(options, clock)
    this.news = new HostNews(clock, control.timeline)
    const spec = {
      kind: 'tcp',
      intervalMs: 0,
      timeoutMs: probeTimeout,
      healthyThreshold: 1,
      unhealthyThreshold: 1,
    } as const
    this.silent = new SilentHosts({
      clock,
      unhealthy,
      instancesAt: (addresses) => deps.instancesAt(addresses),
      connect: (place) => probe(spec, place),
      onProbe: (isThere) => metrics.count('hosts_probes', { result: isThere ? 'there' : 'no-answer' }),
    })
    this.api = new HostsApi({
      take: (report, from) => {
        this.take(report, from)
        return deps.onReport(report)
      },
      views: () => this.table.all().map((host) => this.viewOf(host)),
      view: (name) => {
        const host = this.table.get(name)
        return host === undefined ? undefined : this.viewOf(host)
      },
      forget: (name, by) => this.forget(name, by),
      onRefused: (reason, from, user) => this.refused(reason, from, user),
    })
    unhealthy.onChange(() => {
      metrics.gauge('hosts_unhealthy_instances', {}, unhealthy.size)
      control.state.changed(file)
    })
    control.state.keep(file, format, writeDelayMs, (): Kept => ({
      hosts: this.table.kept(),
      unhealthy: this.silent.places(),
    }))
    this.pages = [this.page()]
  }

  open(): Promise<void> {
    if (this.isOpen) return Promise.resolve()
    this.isOpen = true
    const kept = this.deps.control.state.read(file, format) as Partial<Kept> | undefined
    this.table.adopt(kept?.hosts ?? [])
    this.silent.adopt(kept?.unhealthy ?? [])
    this.cancel = every(this.deps.clock, lookMs, () => this.look())
    this.look()
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.isOpen = false
    this.cancel()
    this.news.tell()
    return Promise.resolve()
  }

  traffic(): readonly HostTraffic[] {
    // an adopted report has no counters, and those that follow it would pass for new
    return this.table.all().flatMap(({ isHeardHere, report }) => (isHeardHere ? [report] : []))
  }

  faults(): readonly string[] {
    return []
  }

  hosts(): readonly KnownHost[] {
    return this.table.all()
  }

  known(host: string): KnownHost | undefined {
    return this.table.get(host)
  }

  private take(report: HostReport, from: string): void {
    const before = this.table.get(report.host)
    const isNew = this.table.take(report)
    this.deps.metrics.count('hosts_reports', { result: 'taken' })
    if (isNew) {
      this.deps.log.info({ about: report.host, from }, `host ${report.host} reports from ${from}`)
      this.tell(report.host, 'joined', `reports from ${from}`)
    } else if (before?.state === 'silent') {
      const silence = `${this.secondsSince(before)} s silent`
      this.deps.log.info({ about: report.host }, `host ${report.host} reports again, ${silence}`)
      this.tell(report.host, 'back', `reports again, ${silence}`)
    }
    if (isNew || before?.state === 'silent') this.lookSoon()
    if (isNew || before?.report.generation !== report.generation) this.deps.control.state.changed(file)
  }

  private refused(reason: string, from: string, user: ApiUser): void {
    const { clock, log, metrics } = this.deps
    metrics.count('hosts_reports', { result: 'refused' })
    if (!this.refusals.allows(clock.monotonic(), `${from} ${user.name}`)) return
    log.warn({ from, user: user.name }, `a report of ${user.name} from ${from} is refused: ${reason.slice(0, 500)}`)
  }

  private forget(name: string, by: ApiUser): boolean {
    const isDone = this.table.forget(name)
    if (isDone) this.deps.log.info({ about: name, user: by.name }, `host ${name} is forgotten, as ${by.name} wishes`)
    this.deps.control.state.changed(file)
    this.look()
    return isDone
  }

  private tell(about: string, what: string, message: string, severity: 'info' | 'warning' = 'info'): void {
    this.news.add({ about, what, message, severity })
  }

  private lookSoon(): void {
    if (this.looksSoon) return
    this.looksSoon = true
    this.deps.clock.after(soonMs, () => {
      this.looksSoon = false
      this.look()
    })
  }

  private look(): void {
    if (!this.isOpen) return
    const { log, metrics, control } = this.deps
    for (const { name, state } of this.table.look()) {
      if (state === 'silent') {
        log.warn({ about: name }, `host ${name} is silent; its instances are looked at from here`)
        this.tell(name, 'silent', 'its instances are looked at from here', 'warning')
      } else if (state === 'forgotten') {
        log.warn({ about: name }, `host ${name} was silent for too long and is forgotten`)
        this.tell(name, 'forgotten', 'it was silent for too long', 'warning')
      }
      control.state.changed(file)
    }
    const hosts = this.table.all()
    const addresses = (state: KnownHost['state']): Set<string> =>
      new Set(hosts.flatMap((host) => (host.state === state ? [host.report.address] : [])))
    const reporting = addresses('reporting')
    const silent = addresses('silent')
    // several agents of one address: one that reports speaks for the machine
    for (const address of reporting) silent.delete(address)
    this.silent.look(silent, addresses('returning'))
    metrics.clear('hosts')
    for (const state of ['reporting', 'silent', 'returning'] as const)
      metrics.gauge('hosts', { state }, hosts.filter((host) => host.state === state).length)
  }

  private viewOf({ name, report, heardAt, firstHeardAt, state }: KnownHost): HostView {
    const unhealthyInstances = state === 'reporting' ? [] : this.silent.unhealthyAt(report.address)
    const isDead = state === 'silent' && unhealthyInstances.length > 0
    return { host: name, state: isDead ? 'dead' : state, heardAt, firstHeardAt, unhealthyInstances, report }
  }

  private secondsSince({ heardAt }: KnownHost): number {
    return Math.max(0, Math.round((this.deps.clock.wall() - heardAt) / 1000))
  }

  private page(): AdminPage {
    return {
      path: '/hosts',
      method: 'GET',
      help: 'hosts that report to this center: state, version, applications, last restart, rejected rules, tiers',
      answer: (request) => {
        const hosts = this.table.all().map((host) => this.viewOf(host))
        const now = this.deps.clock.wall()
        const text = (): string =>
          columns([
            ['host', 'state', 'address', 'heard', 'generation', 'applications', 'problems'],
            ...hosts.map(({ host, state, heardAt, report }) => [
              host,
              state,
              report.address,
              `${Math.max(0, Math.round((now - heardAt) / 1000))} s ago`,
              String(report.generation),
              String(report.applications.length),
              report.problems.join('; ') || '-',
            ]),
          ])
        return either(request, { hosts, now }, text)
      },
    }
  }
}
