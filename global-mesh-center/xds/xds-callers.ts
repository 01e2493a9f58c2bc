/** Who opens a stream of discovery: by its token, or by its certificate of the mesh. */
import { X509Certificate } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { isLoopback } from '../../contracts/ip-literal.ts'
import { MeshError } from '../../contracts/errors.ts'
import { spiffeScheme } from '../../contracts/spiffe-id.ts'
import { may, type ApiUser } from '../../agent/control/rules-api/api-user.ts'
import type { Asker } from '../ca/grants.ts'
import type { WorkloadIssuer } from '../ca/workload-issuer.ts'
import type { Tokens } from '../rules-api/tokens.ts'
import type { ProxyCaller } from './envoy/secrets.ts'

export interface XdsCallersOptions {
  readonly tokens: Tokens | undefined
  /** Everybody is let in without a token. */
  readonly isOpen: boolean
  /** Whoever shows a certificate of the authority is let in without a token. */
  readonly takesCertificates: boolean
  /** undefined = this center is no authority. */
  readonly issuer: WorkloadIssuer | undefined
}

/** What is known of a stream before its first message. */
export interface Arriving {
  /** Of its metadata. */
  readonly authorization: string | undefined
  /** DER, checked by TLS against the authority; undefined = none. */
  readonly certificate: Buffer | undefined
  readonly isTls: boolean
  /** `10.0.0.7:41822` */
  readonly peer: string
}

export interface XdsCaller extends ProxyCaller {
  /** Of the host whose agent it is, as it has proved; undefined = what the stream says. */
  readonly host: string | undefined
  /** Whether the token that it showed is still good; absent = it showed none. */
  readonly isGood?: () => boolean
  /** Epoch ms at which what it showed ends; undefined = never. */
  readonly until: number | undefined
}

export class XdsCallers {
  private readonly options: XdsCallersOptions

  constructor(options: XdsCallersOptions) {
    this.options = options
  }

  callerOf({ authorization, certificate, isTls, peer }: Arriving): XdsCaller | { readonly refusal: string } {
    const { isOpen } = this.options
    const isPrivate = isTls || isLoopback(addressOf(peer))
    const nobody = { host: undefined, asker: undefined, until: undefined, from: peer, isPrivate }
    if (authorization !== undefined) return this.byToken(authorization, nobody)
    const shown = certificate === undefined ? undefined : this.byCertificate(certificate, nobody)
    return shown ?? (isOpen ? nobody : { refusal: 'a bearer token is needed' })
  }

  private byToken(authorization: string, nobody: XdsCaller): XdsCaller | { readonly refusal: string } {
    const { issuer, tokens } = this.options
    const token = /^Bearer (\S+)$/i.exec(authorization)?.[1] ?? ''
    const user = tokens?.userOf(token)
    if (user === undefined) return { refusal: tokens?.problem() ?? 'this token is not known' }
    const from = `${user.name} at ${nobody.from}`
    const isGood = (): boolean => {
      const now = tokens?.userOf(token)
      return now !== undefined && isSame(now, user)
    }
    if (user.role === 'host')
      return { ...nobody, from, isGood, host: user.name, asker: { kind: 'host', host: user.name, isGood } }
    if (!may(user, false, undefined)) return { refusal: `${user.name} may not read all namespaces` }
    const asker: Asker | undefined =
      user.identity === undefined || issuer === undefined
        ? undefined
        : {
            kind: 'workload',
            id: `${spiffeScheme}${issuer.trustDomain}/${user.identity}`,
            origin: { kind: 'shown' },
            isGood,
          }
    return { ...nobody, from, isGood, asker }
  }

  /** undefined: it counts as none here. */
  private byCertificate(der: Buffer, nobody: XdsCaller): XdsCaller | { readonly refusal: string } | undefined {
    const { issuer, takesCertificates } = this.options
    if (!takesCertificates || issuer === undefined) return undefined
    try {
      const certificate = new X509Certificate(der)
      const asker = issuer.askerOf(certificate)
      const host = asker.kind === 'host' ? asker.host : undefined
      const from = `${host ?? (asker as { id: string }).id} at ${nobody.from}`
      return { ...nobody, from, host, asker, until: certificate.validToDate.getTime() }
    } catch (error) {
      if (error instanceof MeshError) return { refusal: error.message }
      throw error
    }
  }
}

/** Whether the file still says of a token what it said. */
function isSame(now: ApiUser, then: ApiUser): boolean {
  const { identity, name, namespaces, role } = now
  return (
    name === then.name &&
    role === then.role &&
    identity === then.identity &&
    isDeepStrictEqual(namespaces, then.namespaces)
  )
}

/** Of `ADDRESS:PORT`, without the brackets of IPv6. */
export function addressOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1')
}
