/** Configuration over HTTP: v1 with long polling, v2, and the v3 client interface. */
import type { ConfigBackend, ConfigKey, StoredConfig } from '../backend.ts'
import { configKeyOf, configTypeOf } from '../config-key.ts'
import { NacosFault } from '../fault.ts'
import { namespaceOf } from '../service-name.ts'
import type { NacosRequest, Handler, Routes } from './exchange.ts'
import { json, param, result, text, wholeNumber } from './exchange.ts'
import type { LongPolls } from './long-poll.ts'

const notFound = 'config data not exist'

function headersOf(config: StoredConfig): Record<string, string> {
  return {
    'Config-Type': config.type,
    'Content-MD5': config.md5,
    'Last-Modified': new Date(config.modifiedAt).toUTCString(),
    'Cache-Control': 'no-cache,no-store',
    'Encrypted-Data-Key': '',
  }
}

function v1Key(request: NacosRequest): ConfigKey {
  return configKeyOf(param(request, 'tenant'), param(request, 'group'), param(request, 'dataId'))
}

function v2Key(request: NacosRequest): ConfigKey {
  const group = param(request, 'group') ?? param(request, 'groupName')
  return configKeyOf(param(request, 'namespaceId') ?? param(request, 'tenant'), group, param(request, 'dataId'))
}

function document(key: ConfigKey, config: StoredConfig): object {
  return {
    id: `${key.group}/${key.dataId}`,
    dataId: key.dataId,
    group: key.group,
    content: config.content,
    md5: config.md5,
    encryptedDataKey: '',
    tenant: key.namespace === 'public' ? '' : key.namespace,
    appName: '',
    type: config.type,
  }
}

export function configRoutes(config: ConfigBackend, polls: LongPolls): Routes {
  async function publish(request: NacosRequest, key: ConfigKey): Promise<boolean> {
    const content = param(request, 'content')
    if (content === undefined || content === '') {
      throw new NacosFault('parameter-missing', "Parameter 'content' is missing")
    }
    const given = request.headers['casmd5'] ?? param(request, 'casMd5')
    const casMd5 = given === '' ? undefined : given
    return await config.publish(key, content, configTypeOf(param(request, 'type')), casMd5, request.caller)
  }

  const search = (request: NacosRequest): object => {
    const all = config.list(namespaceOf(param(request, 'tenant')))
    if (all === undefined)
      throw new NacosFault('no-such-api', 'documents cannot be listed here; ask for one by dataId and group')
    const isBlur = param(request, 'search') === 'blur'
    const matches = (wanted: string | undefined, found: string): boolean => {
      if (wanted === undefined || wanted === '') return true
      return isBlur ? found.includes(wanted.replaceAll('*', '')) : wanted === found
    }
    const found = all.filter(
      (one) => matches(param(request, 'dataId'), one.dataId) && matches(param(request, 'group'), one.group),
    )
    const pageNumber = wholeNumber(request, 'pageNo', 1, 1, 1_000_000)
    const pageSize = wholeNumber(request, 'pageSize', 100, 1, 500)
    return {
      totalCount: found.length,
      pageNumber,
      pagesAvailable: Math.ceil(found.length / pageSize),
      pageItems: found.slice((pageNumber - 1) * pageSize, pageNumber * pageSize).map((one) => document(one, one)),
    }
  }

  const listen: Handler = async (request) => {
    const listening = param(request, 'Listening-Configs')
    if (listening === undefined) throw new NacosFault('parameter-invalid', 'invalid probeModify')
    const timeout = Number(request.headers['long-pulling-timeout'])
    const isShort = request.headers['long-pulling-timeout-no-hangup'] === 'true' || !Number.isFinite(timeout)
    return text(await polls.poll(listening, isShort ? undefined : timeout, request.signal, request.caller))
  }

  return {
    'GET /v1/cs/configs': async (request) => {
      if (param(request, 'search') !== undefined) return json(search(request))
      const key = v1Key(request)
      const found = await config.read(key, request.caller)
      if (found === undefined) return text(notFound, 404)
      if (param(request, 'show') === 'all') {
        return json({ ...document(key, found), createTime: found.modifiedAt, modifyTime: found.modifiedAt })
      }
      return { ...text(found.content), headers: headersOf(found) }
    },
    'POST /v1/cs/configs': async (request) => json(await publish(request, v1Key(request))),
    'DELETE /v1/cs/configs': async (request) => {
      await config.remove(v1Key(request), request.caller)
      return json(true)
    },
    'POST /v1/cs/configs/listener': listen,

    'GET /v2/cs/config': async (request) => {
      const found = await config.read(v2Key(request), request.caller)
      if (found === undefined) return json({ code: 20004, message: 'resource not found', data: notFound }, 404)
      return { ...result(found.content), headers: headersOf(found) }
    },
    'POST /v2/cs/config': async (request) => {
      if (await publish(request, v2Key(request))) return result(true)
      throw new NacosFault('conflict', 'Cas publish fail, server md5 may have changed.')
    },
    'DELETE /v2/cs/config': async (request) => {
      await config.remove(v2Key(request), request.caller)
      return result(true)
    },
    'POST /v2/cs/config/listener': listen,

    'GET /v3/client/cs/config': async (request) => {
      const found = await config.read(v2Key(request), request.caller)
      if (found === undefined) throw new NacosFault('not-found', notFound)
      return result({
        content: found.content,
        encryptedDataKey: '',
        contentType: found.type,
        md5: found.md5,
        lastModified: found.modifiedAt,
        tag: null,
        beta: false,
        success: true,
      })
    },
  }
}
