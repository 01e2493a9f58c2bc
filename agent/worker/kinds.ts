/**
 * What a worker loads when it is first needed: HTTP/2, private RPC and TLS (decision 0080). A snapshot that names one
 * of them loads it before anything of it is in force; callers and predecessors that come with HTTP/2 unannounced load
 * it as they come. What is not there in a broken installation refuses that snapshot, or that connection, by its name.
 */
import { describeError, MeshError } from '../../contracts/errors.ts'
import { endpointProtocol, firstProtocol } from '../../contracts/protocols.ts'
import type { AppProtocol, EndpointProtocol } from '../../contracts/protocols.ts'
import type { GatewayServerSpec, ListenerSpec, MeshSpec, ServiceSpec } from '../../contracts/snapshot.ts'
import type * as Http2Module from './http2-kind.ts'
import type { Http2Kind, Http2KindDeps } from './http2-kind.ts'
import { lazily } from './lazily.ts'
import type { MeshState } from './mesh/mesh-state.ts'
import type * as RpcModule from './rpc-kind.ts'
import type { RpcKind, RpcKindDeps } from './rpc-kind.ts'
import type { Tls } from './transport/tls/open-tls.ts'

const loadHttp2 = lazily<typeof Http2Module>(import.meta.url, './http2-kind', 'HTTP/2')
const loadRpc = lazily<typeof RpcModule>(import.meta.url, './rpc-kind', 'private RPC')

export interface KindsDeps extends Omit<Http2KindDeps, 'mesh'>, Omit<RpcKindDeps, 'beginHttp1'> {
  readonly state: MeshState
  readonly tls: Tls
  readonly beginHttp1: RpcKindDeps['beginHttp1']
}

/** Of a snapshot, or of a change to it. */
interface Named {
  readonly mesh?: MeshSpec
  readonly services?: Readonly<Record<string, ServiceSpec | null>>
  readonly listeners?: Readonly<Record<string, ListenerSpec | null>>
}

export class Kinds {
  private readonly deps: () => KindsDeps
  private http2Made: Http2Kind | undefined
  private rpcMade: RpcKind | undefined

  /** `deps`: asked when something is loaded, for the parts of a worker need each other. */
  constructor(deps: () => KindsDeps) {
    this.deps = deps
  }

  /** Throws E_PART_MISSING. */
  get http2(): Http2Kind {
    if (this.http2Made !== undefined) return this.http2Made
    const { state, ...rest } = this.deps()
    const { http2Kind } = loadHttp2()
    this.http2Made = http2Kind({ ...rest, mesh: state })
    this.http2Made.settings.take(state.limits, state.pseudonym, state.node.tier)
    return this.http2Made
  }

  /** undefined = nothing of this worker has spoken it. */
  get http2IfLoaded(): Http2Kind | undefined {
    return this.http2Made
  }

  /** Throws E_PART_MISSING. */
  get rpc(): RpcKind {
    if (this.rpcMade !== undefined) return this.rpcMade
    const deps = this.deps()
    const { rpcKind } = loadRpc()
    this.rpcMade = rpcKind(deps)
    this.rpcMade.takeDescribed(deps.state.mesh.rpcProtocols ?? {})
    return this.rpcMade
  }

  /** Loads what these need. Throws E_PART_MISSING, with the name of who needs it. */
  prepare({ listeners = {}, mesh, services = {} }: Named): void {
    if (mesh?.hasCertificates === true) this.need('certificates', () => this.deps().tls.load())
    for (const [name, spec] of Object.entries(services)) if (spec !== null) this.need(name, () => this.forService(spec))
    for (const [name, spec] of Object.entries(listeners))
      if (spec !== null) this.need(name, () => this.forListener(spec))
  }

  /** Whether endpoints can be spoken to so: nothing that a caller asks for may throw. */
  canSpeak(protocol: EndpointProtocol): boolean {
    try {
      this.forEndpoints(protocol)
      return true
    } catch (error) {
      this.deps().warn(describeError(error))
      return false
    }
  }

  /** The settings of `state` are others now. */
  takeSettings(): void {
    const { state } = this.deps()
    this.http2Made?.settings.take(state.limits, state.pseudonym, state.node.tier)
    const described = this.rpcMade?.takeDescribed(state.mesh.rpcProtocols ?? {}) ?? []
    if (described.length > 0) state.speakAnew(described)
  }

  private need(name: string, load: () => void): void {
    try {
      load()
    } catch (error) {
      throw error instanceof MeshError ? new MeshError(error.code, `${name}: ${error.message}`) : error
    }
  }

  private forService({ policy, portPolicies, protocol, subsets }: ServiceSpec): void {
    const ofSubsets = Object.values(subsets).flatMap((one) => [one.policy, ...Object.values(one.portPolicies ?? {})])
    for (const { pool, tls } of [policy, ...Object.values(portPolicies), ...ofSubsets]) {
      this.forEndpoints(endpointProtocol(protocol, pool.upgradesToHttp2))
      if (tls !== undefined && tls.mode !== 'disable') this.deps().tls.load()
    }
  }

  private forListener(spec: ListenerSpec): void {
    if ('mtls' in spec && spec.mtls !== undefined) this.deps().tls.load()
    if (spec.kind === 'gateway' && spec.servers.some(endsTls)) this.deps().tls.load()
    if ('protocol' in spec) this.forCallers(spec.protocol)
  }

  private forCallers(protocol: AppProtocol): void {
    if (firstProtocol(protocol) === 'rpc') void this.rpc
    else if (endpointProtocol(protocol, false) === 'http2') void this.http2
  }

  private forEndpoints(protocol: EndpointProtocol): void {
    if (protocol === 'http2') void this.http2
    else if (protocol !== 'http1') void this.rpc
  }
}

function endsTls({ tls }: GatewayServerSpec): boolean {
  return tls !== undefined && tls.mode !== 'passthrough'
}
