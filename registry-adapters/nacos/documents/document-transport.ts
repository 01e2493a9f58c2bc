/** Reading and writing configuration documents, over gRPC or over the HTTP API of servers without it. */
import { createHash } from 'node:crypto'
import { MeshError } from '../../../contracts/errors.ts'
import type { Auth } from '../auth/auth.ts'
import type { NacosSession } from '../grpc/sessions.ts'
import { excerpt, jsonOf } from '../server-list/http-client.ts'
import type { HttpAnswer, HttpClient } from '../server-list/http-client.ts'
import type { NacosMember } from '../server-list/server-list.ts'
import { grpcErrorCodes } from '../wire/codes.ts'
import { clientRequests } from '../wire/messages.ts'
import { httpPaths } from '../wire/http-paths.ts'

export interface StoredDocument {
  readonly content: string
  readonly md5: string
  /** Epoch ms, from the registry's database; 0 = not told. */
  readonly modifiedAt: number
}

export interface DocumentKey {
  readonly group: string
  readonly dataId: string
}

export interface DocumentTransport {
  /** undefined = there is no such document. */
  read(key: DocumentKey): Promise<StoredDocument | undefined>
  /** Accepted by the server; whether a compare-and-set really wrote must be read back. */
  publish(key: DocumentKey, content: string, casMd5: string): Promise<void>
  remove(key: DocumentKey): Promise<void>
}

export function md5Of(content: string): string {
  return createHash('md5').update(content, 'utf8').digest('hex')
}

export function grpcDocuments(session: NacosSession, tenant: string): DocumentTransport {
  const ask = (
    type: string,
    key: DocumentKey,
    more: object,
    allow?: (answer: { body: Readonly<Record<string, unknown>> }) => boolean,
  ) => session.request(type, { ...key, tenant, ...more }, { kind: 'document', tenant, group: key.group }, allow)
  return {
    read: async (key) => {
      const isMissing = (answer: { body: Readonly<Record<string, unknown>>; type?: string }): boolean =>
        answer.body['errorCode'] === grpcErrorCodes.configNotFound && answer.type !== 'ErrorResponse'
      const isBusy = (answer: { body: Readonly<Record<string, unknown>>; type?: string }): boolean =>
        answer.body['errorCode'] === grpcErrorCodes.configBusy && answer.type !== 'ErrorResponse'
      const answer = await ask(clientRequests.configQuery, key, {}, (one) => isMissing(one) || isBusy(one))
      if (isMissing(answer)) return undefined
      if (isBusy(answer)) throw busy(key)
      const { content, lastModified } = answer.body
      if (typeof content !== 'string')
        throw new MeshError('E_REGISTRY_PROTOCOL', `document ${key.dataId}: answered without content`)
      return { content, md5: md5Of(content), modifiedAt: typeof lastModified === 'number' ? lastModified : 0 }
    },
    publish: async (key, content, casMd5) => {
      await ask(clientRequests.configPublish, key, { content, casMd5, additionMap: { type: typeOf(key.dataId) } })
    },
    remove: async (key) => {
      await ask(clientRequests.configRemove, key, {})
    },
  }
}

export function httpDocuments(
  http: HttpClient,
  auth: Auth,
  choose: () => NacosMember,
  tenant: string,
): DocumentTransport {
  const ask = async (
    key: DocumentKey,
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    parameters: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> => {
    const server = choose()
    for (let isSecond = false; ; isSecond = true) {
      const words = await auth.forHttp({ kind: 'document', tenant, group: key.group })
      const answer = await http.ask(server, {
        method,
        path,
        parameters: { ...parameters, ...words.parameters },
        headers: { ...headers, ...words.headers },
      })
      if (answer.status !== 401 && answer.status !== 403) return answer
      if (isSecond || !auth.renew())
        throw new MeshError(
          'E_REGISTRY_DENIED',
          `nacos at ${server.id}: ${method} ${path} was answered with ${answer.status}; check user and permissions`,
        )
    }
  }
  const v1 = (key: DocumentKey): Record<string, string> => ({ dataId: key.dataId, group: key.group, tenant })
  return {
    read: async (key) => {
      const old = await ask(key, 'GET', httpPaths.v1.config, v1(key))
      if (old.status === 200)
        return {
          content: old.text,
          md5: md5Of(old.text),
          modifiedAt: Date.parse(old.headers['last-modified'] ?? '') || 0,
        }
      if (old.status === 409) throw busy(key)
      if (old.status === 404 && old.text.includes('config data not exist')) return undefined
      const answer = await ask(key, 'GET', httpPaths.v3.config, {
        dataId: key.dataId,
        groupName: key.group,
        namespaceId: tenant,
      })
      const body = jsonOf(answer)
      if (body?.['code'] === 20_004) return undefined
      const data = body?.['data'] as Readonly<Record<string, unknown>> | undefined
      const content = data?.['content']
      if (answer.status !== 200 || typeof content !== 'string') throw refused(answer, key)
      return {
        content,
        md5: md5Of(content),
        modifiedAt: typeof data?.['lastModified'] === 'number' ? data['lastModified'] : 0,
      }
    },
    publish: async (key, content, casMd5) => {
      const parameters = { ...v1(key), content, type: typeOf(key.dataId) }
      const answer = await ask(key, 'POST', httpPaths.v1.config, parameters, casMd5 === '' ? {} : { casMd5 })
      if (answer.status !== 200) throw refused(answer, key)
    },
    remove: async (key) => {
      const answer = await ask(key, 'DELETE', httpPaths.v1.config, v1(key))
      if (answer.status !== 200) throw refused(answer, key)
    },
  }
}

/** Worth asking again at once. */
function busy(key: DocumentKey): MeshError {
  return new MeshError(
    'E_REGISTRY_UNREACHABLE',
    `document ${key.group}/${key.dataId}: being written at the server at this moment; read it again`,
  )
}

function refused(answer: HttpAnswer, key: DocumentKey): MeshError {
  return new MeshError(
    answer.status >= 500 ? 'E_REGISTRY_UNREACHABLE' : 'E_REGISTRY_PROTOCOL',
    `document ${key.group}/${key.dataId}: answered with ${answer.status} ${excerpt(answer.text)}`,
  )
}

function typeOf(dataId: string): string {
  if (/\.ya?ml$/i.test(dataId)) return 'yaml'
  return dataId.toLowerCase().endsWith('.json') ? 'json' : 'text'
}
