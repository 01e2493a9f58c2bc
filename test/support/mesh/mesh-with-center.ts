/** A mesh as drills want it: a registry, a center, and a host that has both. */
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { type DemoHost, Mesh, relayOf } from './mesh.ts'

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
    const center = await mesh.startedHost('center', { role: 'center' })
    const alpha = await mesh.startedHost('alpha', { centers: [relayOf(center)] })
    return { mesh, alpha, close }
  } catch (error) {
    await close()
    throw error
  }
}
