/** Plans that change nothing, for tests that change one thing. */
import { plainReplyPlan, plainRequestPlan } from '../../../http1/plans.ts'
import type { ReplyPlan, RequestPlan } from '../../../http1/types.ts'
import type { Fields, HeaderEdits } from '../../../agent/worker/route/types.ts'

export function requestPlan(changes: Partial<RequestPlan> = {}): RequestPlan {
  return { ...plainRequestPlan(), ...changes }
}

export function replyPlan(changes: Partial<ReplyPlan> = {}): ReplyPlan {
  return { ...plainReplyPlan(), dropsTrailer: false, ...changes }
}

export function headerEdits(fields: Fields, ...drop: string[]): HeaderEdits {
  return { fields, drop: new Set(drop) }
}
