/**
 * The proxies of this application: made when first used, each probed, left when nothing names it any
 * more.
 */
import type { Clock } from '../../contracts/clock.ts'
import type { RpcCodec } from '../../rpc/codec.ts'
import { readAddress, readCenterAddress } from '../options.ts'
import { MeshProxy } from './proxy.ts'
import type { ProbeResult } from './proxy.ts'
import type { Introduction } from './introduction.ts'
import { probeOverHttp, probeOverRpc } from './probes.ts'

export interface ProxiesDeps {
  readonly clock: Clock
  readonly introduction: Introduction
  readonly codec: (name: string) => RpcCodec | undefined
  readonly onChange: (proxy: MeshProxy, kind: 'agent' | 'center') => void
}

/** Of one kind; an agent has a handful of ports, a mesh a handful of centers. */
const maxProxies = 64

export class Proxies {
  private readonly deps: ProxiesDeps
  private readonly agents = new Map<string, MeshProxy>()
  private readonly centers = new Map<string, MeshProxy>()

  constructor(deps: ProxiesDeps) {
    this.deps = deps
  }

  agentProxy(address: string, protocol: string): MeshProxy {
    const key = `${protocol} ${address}`
    const { clock, codec } = this.deps
    const spoken = protocol === 'http' ? undefined : codec(protocol)
    return this.proxy(this.agents, key, address, 'agent', () => {
      const read = readAddress(address)!
      return spoken === undefined ? probeOverHttp(read, clock) : probeOverRpc(read, clock, spoken)
    })
  }

  /** undefined = centers want a proof that this application cannot give. */
  centerProxy(address: string): MeshProxy | undefined {
    const { clock, introduction } = this.deps
    if (introduction.problem !== undefined) return undefined
    return this.proxy(this.centers, address, address, 'center', () =>
      probeOverHttp(readCenterAddress(address)!, clock, () => introduction.header('', false)),
    )
  }

  /** Proxies at these addresses stay; centers are asked seldom while the agent serves. */
  keep(agents: readonly string[], centers: readonly string[], isCalm: boolean): void {
    for (const center of centers) this.centerProxy(center)
    const wanted = new Set([...agents, ...centers])
    for (const proxies of [this.agents, this.centers])
      for (const [key, proxy] of proxies)
        if (!wanted.has(proxy.address)) {
          proxy.close()
          proxies.delete(key)
        }
    for (const proxy of this.centers.values()) proxy.watch(isCalm)
  }

  each(): readonly { readonly kind: 'agent' | 'center'; readonly proxy: MeshProxy }[] {
    return [
      ...[...this.agents.values()].map((proxy) => ({ kind: 'agent' as const, proxy })),
      ...[...this.centers.values()].map((proxy) => ({ kind: 'center' as const, proxy })),
    ]
  }

  close(): void {
    for (const { proxy } of this.each()) proxy.close()
  }

  private proxy(
    proxies: Map<string, MeshProxy>,
    key: string,
    address: string,
    kind: 'agent' | 'center',
    ask: () => Promise<ProbeResult>,
  ): MeshProxy {
    let proxy = proxies.get(key)
    if (proxy === undefined) {
      if (proxies.size >= maxProxies) {
        const [first] = proxies
        first![1].close()
        proxies.delete(first![0])
      }
      const { clock, onChange } = this.deps
      proxy = new MeshProxy(address, { clock, ask, onChange: (changed) => onChange(changed, kind) })
      proxies.set(key, proxy)
      proxy.watch(kind === 'center')
    }
    return proxy
  }
}
