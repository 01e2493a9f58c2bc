import type { Plain } from '../../../contracts/envoy-api/message-form.ts'

/** In what names another resource: it comes over the same stream. */
export const adsSource: Plain = { ads: {}, resource_api_version: 'V3' }
