/**
 * The identities of a host: which names its applications have, from which source their certificates come, and what is
 * kept of them for the next start.
 */
import { statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { stateFiles } from '../../../../contracts/run-directory.ts'
import { trustDomainOf } from '../../../../contracts/spiffe-id.ts'
import type { IdentityRow } from '../../../../contracts/identity-row.ts'
import type { WorkloadCertificates } from '../../../../contracts/workload-certificate.ts'
import type { CertificateStore } from '../../certificates/certificate-store.ts'
import type { Clock } from '../../clock.ts'
import type { AgentConfig } from '../../config/types.ts'
import type { StateDirectory } from '../../core/state/state-directory.ts'
import type { Timeline } from '../../events/timeline.ts'
import type { Log } from '../../log.ts'
import type { ControlMetrics } from '../../observe.ts'
import { isSelfAnnounced, type Application } from '../applications/application.ts'
import { identityOf } from './account.ts'
import { certify, newestTrust } from './ca-client.ts'
import { CenterSource } from './center-source.ts'
import { fileRows } from './file-rows.ts'
import { identitiesFormat, readKept, type KeptIdentities } from './kept-identities.ts'
import { keyAndRequest } from './signing-request.ts'
import { SpireSource } from './spire-source.ts'

export interface HostIdentitiesDeps {
  readonly certificates: Pick<CertificateStore, 'all' | 'replaceSource'>
  readonly state: StateDirectory
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: ControlMetrics
  readonly timeline: Pick<Timeline, 'turn'>
  /** The one in force. */
  config(): AgentConfig
  applications(): readonly Application[]
  /** Names of applications are others now: listeners and callers must be told again. */
  onNames(): void
}

export class HostIdentities {
  private readonly deps: HostIdentitiesDeps
  private readonly center: CenterSource | undefined
  private readonly spire: SpireSource | undefined
  private trustDomain: string | undefined
  private joinedStamp = ''

  constructor(deps: HostIdentitiesDeps) {
    this.deps = deps
    const { clock, random, log, metrics, state, timeline } = deps
    const { authorities, workloadApi } = deps.config().identity
    if (workloadApi !== undefined)
      this.spire = new SpireSource({
        clock,
        random,
        log,
        metrics,
        timeline,
        socket: workloadApi,
        onCertificates: (found) => this.take(this.ownFirst(found)),
      })
    else if (authorities.length > 0) {
      this.center = new CenterSource(
        {
          clock,
          random,
          log,
          metrics,
          timeline,
          client: { certify, newestTrust, keyAndRequest },
          settings: () => {
            const { authorities: all, refresh } = deps.config().identity
            return { authorities: all, refreshMs: refresh }
          },
          onCertificates: (found) => this.take(found),
          onKept: () => state.changed(stateFiles.identities),
          joined: () => this.joined(),
        },
        readKept(state.read(stateFiles.identities, identitiesFormat)),
      )
      state.keep(stateFiles.identities, identitiesFormat, 0, () => this.center?.kept() ?? null)
    }
    this.trustDomain = this.center?.trustDomain
  }

  /** SPIFFE id under which an application calls and serves; undefined = it does as the host. */
  nameOf(application: Application): string | undefined {
    // whoever runs such an application chose its name, which proves nothing
    if (isSelfAnnounced(application)) return undefined
    const { namespace } = this.deps.config().identity
    const trustDomain = this.trustDomain ?? this.trustDomainOfFiles(application)
    return trustDomain === undefined ? undefined : identityOf(application, namespace, trustDomain)
  }

  /** An application came, went or changed. */
  applicationsChanged(): void {
    const names = this.deps.applications().flatMap((application) => this.nameOf(application) ?? [])
    this.center?.want([...new Set(names)])
  }

  /** Whoever led until now may have renewed since this generation started. */
  takeOver(): void {
    const newest = readKept(this.deps.state.read(stateFiles.identities, identitiesFormat))
    if (newest !== undefined) this.center?.relearn(newest)
  }

  setLeading(isLeading: boolean): void {
    this.center?.setLeading(isLeading)
  }

  view(): readonly IdentityRow[] {
    const rows = (this.center ?? this.spire)?.view() ?? []
    const known = new Set(rows.map(({ id }) => id))
    const others = this.deps.certificates.all().filter(({ id }) => !known.has(id))
    return [...rows, ...fileRows(others, this.deps.clock.wall())]
  }

  close(): void {
    this.center?.close()
    this.spire?.close()
  }

  private take(found: WorkloadCertificates): void {
    this.deps.certificates.replaceSource('identities', found)
    const trustDomain = (this.center ?? this.spire)?.trustDomain
    if (trustDomain === this.trustDomain) return
    this.trustDomain = trustDomain
    this.deps.onNames()
  }

  /**
   * The first certificate serves whoever is nobody in particular, so it must be no application's. SPIRE gives the agent
   * one of its own beside those of its applications; without it there is none for anybody.
   */
  private ownFirst(found: WorkloadCertificates): WorkloadCertificates {
    const { log, config, applications } = this.deps
    const domain = found[0] === undefined ? '' : trustDomainOf(found[0].id)
    const { namespace } = config().identity
    const names = new Set(applications().map((one) => identityOf(one, namespace, domain)))
    const own = found.filter(({ id }) => !names.has(id))
    if (own.length > 0) return [...own, ...found.filter(({ id }) => names.has(id))]
    if (found.length > 0)
      log.error(
        { code: 'E_CERTIFICATE_INVALID' },
        'SPIRE gives this host names of its applications only; register one for the agent itself: none is used',
      )
    return []
  }

  /** Where all certificates come from files, an application is as the host unless its own file names it. */
  private trustDomainOfFiles({ identity }: Application): string | undefined {
    const [own] = this.deps.certificates.all()
    const isOnlyFiles = this.center === undefined && this.spire === undefined
    return isOnlyFiles && identity !== undefined && own !== undefined ? trustDomainOf(own.id) : undefined
  }

  /** What `hostmesh join` left, once. It goes when it is kept with the others. */
  private joined(): KeptIdentities | undefined {
    const { state, config, log } = this.deps
    const file = join(config().stateDir, stateFiles.joined)
    const found = statSync(file, { throwIfNoEntry: false })
    const stamp = found === undefined ? '' : `${found.ino} ${found.mtimeMs}`
    if (stamp === this.joinedStamp) return undefined
    this.joinedStamp = stamp
    if (found === undefined) return undefined
    const kept = readKept(state.read(stateFiles.joined, identitiesFormat))
    // changed() of this file comes in the same turn
    if (kept !== undefined)
      setImmediate(() => {
        state
          .flush(stateFiles.identities)
          .then(() => rm(file, { force: true }))
          .catch((error: unknown) => log.warn({ err: error }, `${file}: cannot be removed`))
      })
    return kept
  }
}
