import { probeRequest } from '../../../contracts/handoff.ts'
import type { VirtualHostSpec } from '../../../contracts/route-spec.ts'
import type { FilterTable } from '../filters/filter.ts'
import type { RouteIds } from './route-ids.ts'
import type { VirtualHost } from './types.ts'
import { compileVirtualHost } from './virtual-host.ts'

const origin = { kind: 'default', name: '', path: '' }

const spec: VirtualHostSpec = {
  name: probeRequest.host,
  domains: [probeRequest.host],
  http: [
    {
      name: 'probe',
      origin,
      matches: [{ uri: { exact: probeRequest.path } }],
      action: { kind: 'direct', status: 200, body: '', contentType: 'text/plain' },
      timeoutMs: 0,
    },
  ],
  tcp: [],
}

/**
 * The virtual host of this host itself: it answers whether the worker serves. Its requests are neither counted nor
 * logged.
 */
export function ownVirtualHost(ids: RouteIds, filters: FilterTable): VirtualHost {
  return compileVirtualHost(spec, { ids, now: 0, limitShare: 1, filters, isOwn: true })
}
