import type { Mesh as SdkMesh } from '../../../sdk/index.ts'
import { until } from '../mesh/mesh.ts'
import type { DemoHost, HostPlan, Mesh } from '../mesh/mesh.ts'

/** A host as applications with the SDK want it: Nacos face and a shared port of Bolt, all at its own address; ready. */
export async function startSdkHost(mesh: Mesh, plan: HostPlan = {}): Promise<DemoHost> {
  const host = sdkHost(mesh, 'alpha', plan)
  host.start()
  await host.ready()
  return host
}

/** The same, not started. */
export function sdkHost(mesh: Mesh, name: string, plan: HostPlan = {}): DemoHost {
  const host = mesh.host(name, plan)
  const { address } = host.options
  Object.assign(host.options, {
    extra: {
      outbound: { http: `${address}:15001`, address, rpc: [{ protocol: 'bolt', address: `${address}:12200` }] },
      nacosFace: { enabled: true, address, httpPort: 8848, grpcPort: 9848 },
      ...plan.extra,
    },
  })
  return host
}

/** Until everything that it announces is where callers can hear of it. */
export async function whenRegistered(sdk: SdkMesh): Promise<void> {
  await until(10_000, 'instances at the registry', () =>
    Promise.resolve(sdk.status().registered.every(({ state }) => state === 'registered')),
  )
}

/** Where the SDK asks the agent. */
export function agentOf(host: DemoHost): string {
  return `${host.options.address}:15000`
}
