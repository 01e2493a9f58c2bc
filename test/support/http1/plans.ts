/** Plans that change nothing, for tests that change one thing. */
import { ReplyFraming } from '../../../http1/types.ts'
import type { ReplyPlan, RequestPlan } from '../../../http1/types.ts'
import type { Fields, HeaderEdits } from '../../../agent/worker/route/types.ts'

export function requestPlan(changes: Partial<RequestPlan> = {}): RequestPlan {
  return {
    routeEdits: null,
    destinationEdits: null,
    extra: null,
    extraLength: 0,
    target: null,
    authority: null,
    upgrades: false,
    dropsExpect: false,
    ...changes,
  }
}

export function replyPlan(changes: Partial<ReplyPlan> = {}): ReplyPlan {
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
    dropsTrailer: false,
    ...changes,
  }
}

export function headerEdits(fields: Fields, ...drop: string[]): HeaderEdits {
  return { fields, drop: new Set(drop) }
}
