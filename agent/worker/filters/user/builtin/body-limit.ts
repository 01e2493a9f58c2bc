import type { BodyLimitSettings } from '../../../../../contracts/builtin-filters.ts'
import type { MakeFilter } from '../../../../../contracts/user-filter.ts'

/** Refuses requests with more content, as it is announced or as it comes. */
export const bodyLimit: MakeFilter = (settings) => {
  const { maxBytes } = settings as unknown as BodyLimitSettings
  return { onRequestHead: (request) => request.limitBody(maxBytes) }
}
