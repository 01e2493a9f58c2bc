/** The names of services, asked for page by page and group by group, because servers list one group at a time. */
import { serviceKey } from '../../../contracts/endpoint.ts'
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { NacosSession } from '../grpc/sessions.ts'
import type { NacosMember } from '../server-list/server-list.ts'
import { clientRequests } from '../wire/messages.ts'
import type { HttpNaming } from './http-naming.ts'

/** Names that one page asks for. */
const pageSize = 500

export interface ServiceNamesDeps {
  readonly namespace: string
  readonly session: NacosSession
  readonly overHttp: HttpNaming
  /** A server that answers over HTTP. Throws a MeshError while none is known. */
  readonly anyServer: () => NacosMember
}

/** At most `limit` names of these groups. Rejects with a MeshError. */
export async function listServiceNames(
  groups: Iterable<string>,
  limit: number,
  signal: AbortSignal,
  deps: ServiceNamesDeps,
): Promise<ServiceKey[]> {
  const { namespace } = deps
  const size = Math.min(pageSize, limit)
  const out: ServiceKey[] = []
  for (const group of groups) {
    for (let page = 1; out.length < limit; page++) {
      const names = await askPage(group, page, size, signal, deps)
      for (const name of names) if (out.length < limit) out.push(serviceKey({ namespace, group, name }))
      if (names.length < size) break
    }
  }
  return out
}

async function askPage(
  group: string,
  page: number,
  size: number,
  signal: AbortSignal,
  { namespace, session, overHttp, anyServer }: ServiceNamesDeps,
): Promise<string[]> {
  if (session.connection === undefined) return overHttp.services(anyServer(), namespace, group, page, size, signal)
  const body = { namespace, groupName: group, serviceName: '', pageNo: page, pageSize: size, selector: '' }
  const answer = await session.request(clientRequests.serviceList, body, { kind: 'service', group, name: '' })
  const names = answer.body['serviceNames']
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
}
