/** A mesh as drills want it: a registry, a center, and a host that has both. */
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { type DemoHost, Mesh, relayOf } from './mesh.ts'

/** A drill needs a machine with time for it; to start may take longer. */
const readyMs = 120_000

export interface MeshWithCenter {
  readonly mesh: Mesh
  readonly alpha: DemoHost
  close(): Promise<void>
}

export async function startMeshWithCenter(): Promise<MeshWithCenter> {
  const registry = await startEmbeddedRegistry()
  const mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
  const close = async (): Promise<void> => {
    await mesh.close()
    await registry.close()
  }
  try {
    // what hangs is noticed as soon as anywhere
    const extra = { watchdog: { startDeadline: '60s' } }
    const center = mesh.host('center', { role: 'center', extra })
    const alpha = mesh.host('alpha', { centers: [relayOf(center)], extra })
    for (const host of [center, alpha]) {
      host.start()
      await host.ready(readyMs)
    }
    return { mesh, alpha, close }
  } catch (error) {
    await close()
    throw error
  }
}
