/** The API of rules at the admin socket: whoever may open that could change the store itself. */
import type { SocketApi } from '../admin/http.ts'
import type { ApiAnswers } from './api-answers.ts'
import { owner } from './ask-as-owner.ts'

/** `answers` is asked with each request. */
export function rulesAtSocket(answers: () => ApiAnswers | Promise<ApiAnswers>): SocketApi {
  return {
    serves: (path) => /^\/(api|apis|openapi|version)(\/|\.json$|$)/.test(path),
    answer: async (incoming, outgoing) => (await answers()).answer(incoming, outgoing, () => owner, 'this machine'),
  }
}
