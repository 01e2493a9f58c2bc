/** Names that the registries know of one namespace. */
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../../../contracts/registry-adapter.ts'
import { splitKey } from '../../core/snapshot/compiler.ts'

export async function listedServices(
  adapters: readonly RegistryAdapter[],
  namespace: string,
  limit: number,
  signal: AbortSignal,
): Promise<ServiceName[]> {
  const lists = await Promise.all(adapters.map((adapter) => adapter.listServices(limit, signal)))
  const names = [...new Set(lists.flat())].map(splitKey).filter((name) => name.namespace === namespace)
  return names.slice(0, limit)
}
