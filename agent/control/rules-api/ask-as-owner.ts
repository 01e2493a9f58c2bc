/** A question to the API that came in by the admin interface: from root or the node's own user. */
import { jsonReply, type AdminReply } from '../admin/http.ts'
import { ApiError } from './api-error.ts'
import type { ApiSection } from './api-section.ts'
import { bodyTypes } from './request-body.ts'
import type { ApiUser } from './api-user.ts'

/** Whoever this is could change the store itself. */
export const owner: ApiUser = { name: 'admin socket', role: 'admin', namespaces: undefined }

export async function askAsOwner(
  api: Pick<ApiSection, 'answer'>,
  method: string,
  path: string,
  body: unknown,
): Promise<AdminReply> {
  try {
    const reply = await api.answer({
      method,
      path,
      query: new URLSearchParams(),
      contentType: bodyTypes.json,
      userAgent: 'hostmesh',
      body: body === undefined ? '' : JSON.stringify(body),
      user: owner,
      from: 'this machine',
    })
    return 'body' in reply ? jsonReply(reply.body, reply.status) : jsonReply({}, 400)
  } catch (error) {
    if (error instanceof ApiError) return jsonReply(error.body(), error.status)
    throw error
  }
}
