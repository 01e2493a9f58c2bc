/** A Nacos adapter for tests: everything happens sooner than in production, in the same order. */
import type { NacosAdapterConfig, NacosTimes } from '../../../registry-adapters/nacos/index.ts'

export const hastyTimes: Partial<NacosTimes> = {
  requestTimeoutMs: 2000,
  connectTimeoutMs: 4000,
  healthCheckMs: 300,
  reconnectMinMs: 50,
  reconnectMaxMs: 400,
  reconnectSpreadMs: 20,
  heartbeatMs: 400,
  confirmAfterMs: 150,
  settleMs: 600,
  doubtMs: 300,
  syncMs: 200,
  httpPollMs: 300,
  configPollMs: 300,
}

/** `servers` are HTTP addresses; with a gate in front of gRPC, the offset says where it is. */
export function adapterConfig(
  servers: readonly string[],
  more: Partial<NacosAdapterConfig> & { readonly times?: Partial<NacosTimes> } = {},
): NacosAdapterConfig {
  return {
    name: 'main',
    servers,
    namespace: 'public',
    credentials: { kind: 'none' },
    endpoints: { allowLoopback: false, allowLinkLocal: false, isOwnPort: () => false },
    ...more,
    times: { ...hastyTimes, ...more.times },
  }
}
