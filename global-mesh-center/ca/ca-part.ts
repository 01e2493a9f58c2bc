/**
 * The authority as a part of a center: opened when its generation leads, from the documents of the state directory;
 * looked after while it does. What it cannot do is a fault at `/ready`; traffic is not touched.
 */
import { join } from 'node:path'
import type { AdminPage } from '../../agent/control/admin/http.ts'
import { KeptPort } from '../../agent/control/kept-port.ts'
import { readSecret } from '../../agent/control/kinds/secret-file.ts'
import type { LeadingPart } from '../../agent/control/leading-part.ts'
import { every } from '../../contracts/clock.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { describeError } from '../../contracts/errors.ts'
import type { CenterConfig } from '../config/types.ts'
import { createStore } from '../store/create-store.ts'
import type { Store } from '../../agent/control/store/store.ts'
import { Admission } from './admission.ts'
import { caPages } from './admin-pages.ts'
import type { Authority } from './authority.ts'
import { CaServer } from './ca-server.ts'
import { CertificateService } from './certificate-service.ts'
import { PartIssuer, type WorkloadIssuer } from './workload-issuer.ts'
import type { CaDocuments } from './documents.ts'
import { fileDocuments } from './file-documents.ts'
import type { WorkloadCertificates } from '../../contracts/workload-certificate.ts'
import { openBox, sealedBox } from './key-box.ts'
import { MadeAuthority } from './made-authority.ts'
import { storeDocuments } from './store-documents.ts'
import { OperatorAuthority } from './operator-authority.ts'
import type { CaSection } from './section.ts'

/** How often it looks whether a step is due, and what other centers wrote. */
const lookMs = 1000
const intermediateMs = 365 * 86_400_000

export interface CaPartDeps extends AdapterDeps {
  readonly config: Pick<CenterConfig, 'stateDir' | 'host' | 'store'>
  readonly section: CaSection
  /** The name of the center towards hosts, for its workers. */
  readonly onCertificates: (certificates: WorkloadCertificates) => void
  /** The hosts that are denied, now and after each change. */
  readonly onDenied: (hosts: readonly string[]) => void
}

interface Opened {
  readonly authority: Authority
  readonly admission: Admission
  readonly server: CaServer
  readonly service: CertificateService
}

export class CaPart implements LeadingPart {
  readonly pages: readonly AdminPage[]
  private readonly deps: CaPartDeps
  private readonly ownIssuer: PartIssuer
  private readonly port: KeptPort
  /** What the last look found; undefined = nothing. */
  private problem: string | undefined
  private opened: Opened | undefined
  private cancel: () => void = () => undefined
  private isWanted = false
  private store: Store | undefined

  constructor(deps: CaPartDeps) {
    this.deps = deps
    this.ownIssuer = new PartIssuer(deps.section.trustDomain)
    this.port = new KeptPort('certificate authority', () => this.start(), deps)
    this.pages = caPages(() => (this.opened === undefined ? undefined : { ...this.opened, section: deps.section }))
  }

  /** For the other parts of this center. */
  get issuer(): WorkloadIssuer {
    return this.ownIssuer
  }

  open(): Promise<void> {
    this.isWanted = true
    void this.port.open()
    return Promise.resolve()
  }

  async close(): Promise<void> {
    this.isWanted = false
    this.port.close()
    this.cancel()
    const { opened } = this
    this.opened = undefined
    this.ownIssuer.take(undefined)
    await opened?.server.close()
    await this.store?.close()
    this.store = undefined
  }

  faults(): string[] {
    return [this.port.problem, this.problem].flatMap((problem) => problem ?? [])
  }

  private async start(): Promise<void> {
    const { clock, log, section } = this.deps
    const opened = (this.opened ??= await this.make())
    await opened.server.listen(section.address)
    // it was closed meanwhile
    if (!this.isWanted) return await opened.server.close()
    log.info({ address: section.address }, `the certificate authority of ${section.trustDomain} answers`)
    this.tell(opened)
    this.cancel = every(clock, lookMs, () => void this.look())
  }

  private async make(): Promise<Opened> {
    const { clock, log, metrics, section } = this.deps
    const documents = this.documents()
    const authority = await this.makeAuthority(documents)
    const admission = await Admission.open(documents, clock, section.trustDomain, this.deps.onDenied)
    const { trustDomain, grants, leafLifetime, hostLifetime } = section
    const settings = { grants, leafMs: leafLifetime, hostMs: hostLifetime }
    const service = new CertificateService({ authority, admission, trustDomain, settings, log, metrics })
    const names = { dnsNames: section.names, addresses: [this.deps.config.host.address] }
    const server = new CaServer({ authority, service, trustDomain, names, clock, log, metrics })
    return { authority, admission, server, service }
  }

  /** Of this center alone, or below a prefix of their own in the store that centers share. */
  private documents(): CaDocuments {
    const { stateDir, store } = this.deps.config
    if (store.type === 'files') return fileDocuments(join(stateDir, 'ca'))
    this.store ??= createStore({ ...store, prefix: `${store.prefix}-ca` }, this.deps)
    return storeDocuments(this.store)
  }

  private makeAuthority(documents: CaDocuments): Authority | Promise<Authority> {
    const { clock, section } = this.deps
    const { intermediate, keyFile, trustDomain } = section
    if (intermediate !== undefined) return new OperatorAuthority(intermediate, clock)
    const box = keyFile === undefined ? openBox : sealedBox(readSecret(keyFile))
    const lifetimes = {
      rootMs: section.rootLifetime,
      intermediateMs: Math.min(intermediateMs, section.rootLifetime),
      spreadMs: section.rotationSpread,
      // nothing that the old root is behind outlives it in the bundle
      overlapMs: Math.max(2 * section.leafLifetime, section.hostLifetime),
    }
    return MadeAuthority.open({ documents, box, clock, trustDomain, lifetimes })
  }

  private tell({ server, service }: Opened): void {
    this.deps.onCertificates([server.certificate])
    this.ownIssuer.take(service)
  }

  private async look(): Promise<void> {
    const { opened } = this
    if (opened === undefined) return
    const { metrics, log, clock } = this.deps
    try {
      await opened.authority.advance()
      await opened.admission.refresh()
      if (opened.server.refresh()) this.tell(opened)
      const { issuerNotAfter } = opened.authority.view()
      metrics.gauge('ca_issuer_left_seconds', {}, Math.round((issuerNotAfter - clock.wall()) / 1000))
      this.problem = undefined
    } catch (error) {
      const text = `certificate authority: ${describeError(error)}; what is in force stays`
      if (this.problem !== text) log.error({ code: 'E_CONFIG_INVALID' }, text)
      this.problem = text
    }
  }
}
