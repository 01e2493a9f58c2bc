/**
 * The answers of the authority, whatever wire they go over: a host joins, a certificate is issued, the bundle is told.
 * Each answer and each refusal is a line of the log (`audit`) and a count.
 */
import type { KeyObject, X509Certificate } from 'node:crypto'
import type { AdapterLog, AdapterMetrics } from '../../contracts/registry-adapter.ts'
import { MeshError, describeError } from '../../contracts/errors.ts'
import { parseJoinToken } from '../../contracts/join-token.ts'
import { hostId, isHostName, parseSpiffeId } from '../../contracts/spiffe-id.ts'
import type { Admission } from './admission.ts'
import type { Authority } from './authority.ts'
import { hostOf, refusalOf, type Asker, type Grant } from './grants.ts'
import { originOf, type LeafOrigin } from './x509/origin.ts'
import { readSigningRequest } from './x509/signing-request.ts'

export interface CertificateServiceDeps {
  readonly authority: Authority
  readonly admission: Admission
  readonly trustDomain: string
  readonly settings: ServiceSettings
  readonly log: AdapterLog
  readonly metrics: Pick<AdapterMetrics, 'count'>
}

export interface ServiceSettings {
  readonly grants: readonly Grant[]
  readonly leafMs: number
  readonly hostMs: number
}

/** Who is at the other end: a peer that proved a certificate of this authority, or nobody yet. */
export interface Caller {
  /** For the log. */
  readonly address: string
  /** Leaf of the peer, its chain and dates checked by TLS; undefined = it showed none. */
  readonly certificate: X509Certificate | undefined
}

export interface Issued {
  readonly id: string
  /** The leaf first, then its intermediates; without the root. PEM. */
  readonly chain: string
  readonly trustBundle: string
  readonly notAfter: number
}

export class CertificateService {
  private readonly deps: CertificateServiceDeps

  constructor(deps: CertificateServiceDeps) {
    this.deps = deps
  }

  get trustBundle(): string {
    return this.deps.authority.trustBundle
  }

  /** The certificate of a host that shows a token. Rejects with E_CA_REFUSED. */
  async join(caller: Caller, tokenText: string, host: string, request: string | Uint8Array): Promise<Issued> {
    const { admission, trustDomain } = this.deps
    return this.audited('join', caller, isHostName(host) ? hostId(trustDomain, host) : '', async () => {
      const token = parseJoinToken(tokenText)
      if (token === undefined) throw refused('the token is malformed; allowed is the text of `hostmesh ca token`')
      if (!isHostName(host))
        throw refused(
          'the name of the host: allowed letters, digits, dots, dashes, underscores, a letter or digit first',
        )
      this.checkDenied('host', host)
      // whoever has no token has no signature checked, and a request that is not good must not use one up
      await admission.check(token, host)
      const { publicKey } = readSigningRequest(request)
      await admission.join(token, host)
      return this.issue(publicKey, hostId(trustDomain, host))
    })
  }

  /** A certificate for the name in the request; a workload may leave its own out. Rejects with E_CA_REFUSED. */
  async certify(
    caller: Caller,
    request: string | Uint8Array,
    wishes: { readonly lifetimeMs?: number | undefined } = {},
  ): Promise<Issued> {
    return this.audited('issue', caller, '', async (named) => {
      const asker = this.callerOf(caller)
      const { publicKey, uris } = readSigningRequest(request)
      const uri = uris.length === 0 && asker.kind === 'workload' ? asker.id : uris[0]
      if (uri === undefined || uris.length > 1)
        throw refused(`the signing request: ${uris.length} URIs, allowed is one, the name that is asked for`)
      named(uri)
      return this.grant(asker, uri, publicKey, wishes.lifetimeMs)
    })
  }

  /** A certificate for a key that this center made for somebody whom another part knows. Rejects with E_CA_REFUSED. */
  async issueTo(asker: Asker, address: string, uri: string, publicKey: KeyObject): Promise<Issued> {
    return this.audited('sds', { address, certificate: undefined }, uri, async () => {
      if (asker.isGood?.() === false) throw refused(`${uri}: the token that was shown for it is not good any more`)
      return this.grant(asker, uri, publicKey)
    })
  }

  private grant(asker: Asker, uri: string, publicKey: KeyObject, lifetimeMs?: number) {
    const { admission, trustDomain, settings } = this.deps
    this.checkDenied('identity', uri)
    const host = hostOf(asker)
    if (host !== undefined) this.checkDenied('host', host)
    const granted = host === undefined ? [] : admission.grantedTo(host)
    const refusal = refusalOf(asker, uri, trustDomain, granted, settings.grants)
    if (refusal !== undefined) throw refused(refusal)
    return this.issue(publicKey, uri, lifetimeMs, host === undefined ? { kind: 'token' } : { kind: 'host', host })
  }

  private callerOf({ certificate }: Caller): Asker {
    if (certificate === undefined)
      throw refused('no certificate of this authority was shown; join first: `hostmesh join`')
    return this.askerOf(certificate)
  }

  /** Whom a certificate names that TLS has checked. Throws E_CA_REFUSED. */
  askerOf(certificate: X509Certificate): Asker {
    const names = certificate.subjectAltName?.split(', ') ?? []
    const uris = names.flatMap((name) => (name.startsWith('URI:') ? [name.slice(4)] : []))
    const id = uris.length === 1 ? parseSpiffeId(uris[0]!) : undefined
    if (id === undefined || id.trustDomain !== this.deps.trustDomain)
      throw refused(`the certificate of the caller names no workload and no host of ${this.deps.trustDomain}`)
    this.checkDenied('serial', certificate.serialNumber.toLowerCase())
    this.checkDenied('identity', uris[0]!)
    if (id.kind === 'host') {
      this.checkDenied('host', id.host)
      return { kind: 'host', host: id.host }
    }
    const origin = originOf(certificate.raw) ?? { kind: 'unknown' }
    if (origin.kind === 'host') this.checkDenied('host', origin.host)
    return { kind: 'workload', id: uris[0]!, origin }
  }

  private checkDenied(kind: 'host' | 'identity' | 'serial', value: string): void {
    const denial = this.deps.admission.denial(kind, value)
    if (denial !== undefined) throw refused(`${kind} ${value} is denied: ${denial.reason}`)
  }

  private issue(
    publicKey: KeyObject,
    uri: string,
    wishedMs = Infinity,
    from?: LeafOrigin,
  ): Issued & { readonly serial: string } {
    const { authority, settings } = this.deps
    const { leafMs, hostMs } = settings
    const isHost = parseSpiffeId(uri)?.kind === 'host'
    const origin = isHost ? undefined : from
    const leaf = authority.issue({ publicKey, uri, lifetimeMs: Math.min(isHost ? hostMs : leafMs, wishedMs), origin })
    const { trustBundle } = authority
    return { id: uri, chain: leaf.chain, trustBundle, notAfter: leaf.notAfter, serial: leaf.serial }
  }

  private async audited(
    action: 'join' | 'issue' | 'sds',
    { address, certificate }: Caller,
    wanted: string,
    work: (named: (uri: string) => void) => Promise<Issued & { readonly serial: string }>,
  ): Promise<Issued> {
    const { log, metrics } = this.deps
    let id = wanted
    const peer = certificate?.subjectAltName ?? 'none'
    try {
      const { serial, ...issued } = await work((uri) => (id = uri))
      const ends = new Date(issued.notAfter).toISOString()
      log.info({ audit: action, id: issued.id, serial, peer, address, ends }, `certificate issued to ${issued.id}`)
      metrics.count('ca_certificates', { action, result: 'issued' })
      return issued
    } catch (error) {
      const isRefusal = error instanceof MeshError && error.code === 'E_CA_REFUSED'
      metrics.count('ca_certificates', { action, result: isRefusal ? 'refused' : 'failed' })
      const facts = { audit: action, id: id.slice(0, 256), peer, address, code: isRefusal ? error.code : 'E_INTERNAL' }
      log[isRefusal ? 'warn' : 'error'](facts, `no certificate: ${describeError(error)}`)
      throw error
    }
  }
}

function refused(why: string): MeshError {
  return new MeshError('E_CA_REFUSED', why)
}
