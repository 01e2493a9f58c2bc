/** What `x-mesh-route` does to a request, for `explain`. */
import type { ExplainStep } from '../../../contracts/control-link.ts'
import { headers } from '../../../contracts/words.ts'
import type { NameTable } from './name-table.ts'
import { originText } from './origin-text.ts'
import { readOverride } from './override.ts'
import type { RequestView, VirtualHost } from './types.ts'

export interface ExplainedOverride {
  readonly step: ExplainStep
  /** Whose routes decide; undefined: the request goes no further, as the step says. */
  readonly host: VirtualHost | undefined
  /** '' = as the routes say. */
  readonly subset: string
}

/** undefined: the request has none. `caller`: as policies name it. */
export function explainOverride(
  called: VirtualHost,
  view: RequestView,
  caller: string,
  names: NameTable,
): ExplainedOverride | undefined {
  const text = view.headerValues(headers.route)
  if (text === undefined) return undefined
  const { overrides } = called
  const explained = (reason: string, host: VirtualHost | undefined = called, subset = ''): ExplainedOverride => ({
    step: {
      rule: headers.route,
      origin: originText(overrides?.origin),
      matched: host !== called || subset !== '',
      reason,
    },
    host,
    subset,
  })
  if (overrides === null) return explained(`left out: no policy lets anybody send calls of ${called.name} elsewhere`)
  const override = readOverride(overrides, called.name, text, caller)
  switch (override.kind) {
    case 'ignored':
      return explained(`left out: the policy does not name ${caller}`)
    case 'passed':
      return explained(`passed on: no entry is about ${called.name}`)
    case 'refused':
      return stopped(explained(`answered 400 with E_ROUTE_OVERRIDE_REFUSED: ${override.reason}`))
    default: {
      const { service, subset } = override
      const host = names.host(service) ?? names.findName(service)
      const to = subset === '' ? service : `${service};${subset}`
      if (host === null) return stopped(explained(`answered 503: nobody knows ${service}: E_ROUTE_UNKNOWN_SERVICE`))
      if (host === undefined) return stopped(explained(`goes to ${to}, for which this worker has not asked yet`))
      return explained(`goes to ${to}`, host, subset)
    }
  }
}

function stopped(explained: ExplainedOverride): ExplainedOverride {
  return { ...explained, host: undefined }
}
