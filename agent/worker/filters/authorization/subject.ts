import type { AuthorizationSpec } from '../../../../contracts/authorization-spec.ts'
import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import { spiffeScheme } from '../../../../contracts/spiffe-id.ts'
import { splitAuthority } from '../../route/authority.ts'
import type { ConnectionView, RequestView } from '../../route/request-view.ts'
import type { VerifiedToken } from '../../route/verified-token.ts'
import { pathReadings } from './path-readings.ts'
import type { PathReadings } from './path-readings.ts'

/**
 * Who asks for what, as rules read it. One per policy set, filled anew for each request or connection; what costs
 * something is read once, when a rule asks for it. Nothing that a caller can write about itself counts as its identity.
 */
export class Subject {
  /** null: a raw connection. */
  request: RequestView | null = null
  /** `TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, or what else the certificate says; empty = nobody knows. */
  principal = ''
  namespace = ''
  /** `NAMESPACE/ACCOUNT` */
  serviceAccount = ''
  sourceAddress = ''
  destinationAddress = ''
  destinationPort = 0
  token: VerifiedToken | null = null
  private readonly spec: Pick<AuthorizationSpec, 'destination' | 'trustDomain'>
  private readonly onlyReading: string[] = ['']
  private readonly foldedReading: string[] = ['']
  private exactPaths: PathReadings | undefined
  private foldedPaths: PathReadings | undefined
  private nameNow: string | undefined

  constructor(spec: Pick<AuthorizationSpec, 'destination' | 'trustDomain'>) {
    this.spec = spec
  }

  takeRequest(view: RequestView, peer: PeerIdentity, token: VerifiedToken | null): void {
    const { destination } = this.spec
    this.request = view
    this.token = token
    this.exactPaths = undefined
    this.foldedPaths = undefined
    this.nameNow = undefined
    this.sourceAddress = view.sourceAddress
    this.destinationAddress = destination?.address ?? ''
    this.destinationPort = destination?.port ?? (view.isNamedByHost ? view.namedPort || 80 : view.localPort)
    this.identify(peer, view.source)
  }

  takeConnection(view: ConnectionView, peer: PeerIdentity): void {
    const { destination } = this.spec
    this.request = null
    this.token = null
    this.sourceAddress = view.sourceAddress
    this.destinationAddress = destination?.address ?? view.localAddress
    this.destinationPort = destination?.port ?? view.localPort
    this.identify(peer, view.source)
  }

  /** As it came and in every other way in which it may be read. */
  get paths(): PathReadings {
    this.exactPaths ??= pathReadings(this.request!.path, this.onlyReading)
    return this.exactPaths
  }

  /** The same in lower case. */
  get lowerPaths(): PathReadings {
    if (this.foldedPaths !== undefined) return this.foldedPaths
    const { paths } = this
    if (paths === this.onlyReading) {
      this.foldedReading[0] = paths[0]!.toLowerCase()
      this.foldedPaths = this.foldedReading
    } else this.foldedPaths = paths === null ? null : paths.map((one) => one.toLowerCase())
    return this.foldedPaths
  }

  /** Name in Host, in lower case, without port and without a last dot. */
  get hostName(): string {
    if (this.nameNow === undefined) {
      const [name] = splitAuthority(this.request!.authority)
      this.nameNow = name.endsWith('.') ? name.slice(0, -1) : name
    }
    return this.nameNow
  }

  private identify(peer: PeerIdentity, source: RequestView['source']): void {
    const id = peer.kind === 'spiffe' ? peer.id : source?.identity
    if (id !== undefined) {
      this.principal = id.startsWith(spiffeScheme) ? id.slice(spiffeScheme.length) : ''
      const [, namespace = '', account = ''] = /^[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(this.principal) ?? []
      this.namespace = namespace
      this.serviceAccount = namespace === '' ? '' : `${namespace}/${account}`
    } else if (source !== undefined) {
      this.namespace = source.namespace
      this.serviceAccount = `${source.namespace}/${source.app}`
      this.principal = `${this.spec.trustDomain}/ns/${source.namespace}/sa/${source.app}`
    } else {
      this.principal = ''
      this.namespace = ''
      this.serviceAccount = ''
    }
  }
}
