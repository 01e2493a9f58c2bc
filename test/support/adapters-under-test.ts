import type { ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'

export interface AdapterSource {
  createAdapter(): RegistryAdapter
  readonly namespace: string
  /** Absent = DEFAULT_GROUP. */
  readonly group?: string
}

export interface AdaptersUnderTest {
  /** A new adapter, started. */
  started(): RegistryAdapter
  /** Of this test alone. */
  freshService(): ServiceName
  /** Closes all that were started since the last call. */
  closeAll(): Promise<void>
}

let serial = 0

/** The adapters that a suite starts on its registry. `prefix`: how names of its services begin. */
export function adaptersUnderTest(source: () => AdapterSource, prefix: string): AdaptersUnderTest {
  const adapters: RegistryAdapter[] = []
  return {
    started() {
      const adapter = source().createAdapter()
      adapters.push(adapter)
      adapter.start()
      return adapter
    },
    freshService() {
      const { namespace, group = 'DEFAULT_GROUP' } = source()
      return { namespace, group, name: `${prefix}-${process.pid}-${++serial}` }
    },
    async closeAll() {
      await Promise.all(adapters.splice(0).map((adapter) => adapter.close()))
    },
  }
}
