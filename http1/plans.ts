/**
 * Plans that change nothing of a head but what every hop must. A writer keeps one and sets it anew for each message.
 */
import { ReplyFraming } from './types.ts'
import type { ReplyPlan, RequestPlan } from './types.ts'

export function plainRequestPlan(): RequestPlan {
  return {
    routeEdits: null,
    destinationEdits: null,
    extra: null,
    extraLength: 0,
    target: null,
    authority: null,
    upgrades: false,
    dropsExpect: false,
  }
}

export function plainReplyPlan(): ReplyPlan {
  return {
    routeEdits: null,
    destinationEdits: null,
    cookieEdits: null,
    filterEdits: null,
    extra: null,
    extraLength: 0,
    framing: ReplyFraming.same,
    closes: false,
    saysKeepAlive: false,
    upgrades: false,
    dropsTier: true,
    dropsError: true,
    dropsTrailer: true,
  }
}
