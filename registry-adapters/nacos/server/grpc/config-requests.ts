/** Configuration requests of gRPC clients. */
import { grpcErrorCodes } from '../../wire/codes.ts'
import { clientRequests } from '../../wire/messages.ts'
import type { ConfigBackend, ConfigKey } from '../backend.ts'
import { configKeyOf, configTypeOf } from '../config-key.ts'
import { NacosFault } from '../fault.ts'
import type { ConfigListens, ListenContext } from './config-listens.ts'
import type { RequestBody, RequestHandlers } from './request-handler.ts'
import { isObject, textOf } from './request-handler.ts'

function keyOf(body: RequestBody): ConfigKey {
  return configKeyOf(body['tenant'], body['group'], body['dataId'])
}

function contextsOf(body: RequestBody): ListenContext[] {
  const given = body['configListenContexts']
  if (!Array.isArray(given)) throw new NacosFault('parameter-missing', "Param 'configListenContexts' is required.")
  return given.map((one: unknown) => {
    if (!isObject(one)) throw new NacosFault('parameter-invalid', 'configListenContexts: not a list of objects')
    const words = { dataId: textOf(one['dataId']), group: textOf(one['group']), tenant: textOf(one['tenant']) }
    return { key: keyOf(one), words, md5: textOf(one['md5']) }
  })
}

export function configRequests(config: ConfigBackend, listens: ConfigListens): RequestHandlers {
  return {
    [clientRequests.configQuery]: async (_connection, body, caller) => {
      const found = await config.read(keyOf(body), caller)
      if (found === undefined) {
        return {
          resultCode: 500,
          errorCode: grpcErrorCodes.configNotFound,
          message: 'config data not exist',
          lastModified: 0,
          beta: false,
        }
      }
      return {
        content: found.content,
        contentType: found.type,
        encryptedDataKey: '',
        md5: found.md5,
        lastModified: found.modifiedAt,
        beta: false,
      }
    },
    [clientRequests.configPublish]: async (_connection, body, caller) => {
      const content = body['content']
      if (typeof content !== 'string' || content === '') {
        throw new NacosFault('parameter-missing', "Param 'content' is required.")
      }
      const casMd5 = textOf(body['casMd5'])
      const additions = isObject(body['additionMap']) ? body['additionMap'] : {}
      const type = configTypeOf(additions['type'])
      if (await config.publish(keyOf(body), content, type, casMd5 === '' ? undefined : casMd5, caller)) return {}
      return { resultCode: 500, errorCode: 500, message: 'Cas publish fail,server md5 may have changed.' }
    },
    [clientRequests.configRemove]: async (_connection, body, caller) => {
      await config.remove(keyOf(body), caller)
      return {}
    },
    [clientRequests.configBatchListen]: async (connection, body, caller) => {
      const contexts = contextsOf(body)
      if (body['listen'] === false) {
        listens.forget(connection, contexts)
        return { changedConfigs: [] }
      }
      return { changedConfigs: await listens.listen(connection, contexts, caller) }
    },
  }
}
