/** Names of configuration documents as clients write them, and what tells two contents apart. */
import { createHash } from 'node:crypto'
import type { ConfigKey } from './backend.ts'
import { NacosFault } from './fault.ts'
import { namespaceOf } from './service-name.ts'

const idPattern = /^[0-9A-Za-z._:-]+$/
const types: ReadonlySet<string> = new Set(['text', 'json', 'xml', 'yaml', 'html', 'properties', 'toml'])

export function configKeyOf(tenant: unknown, group: unknown, dataId: unknown): ConfigKey {
  return { namespace: namespaceOf(tenant), dataId: id(dataId, 'dataId', 256), group: id(group, 'group', 128) }
}

/** One text per document. */
export function configId(key: ConfigKey): string {
  return `${key.namespace}\n${key.group}\n${key.dataId}`
}

export function contentMd5(content: string): string {
  return createHash('md5').update(content, 'utf8').digest('hex')
}

/** A type that Nacos knows, else `text`. */
export function configTypeOf(type: unknown): string {
  const wanted = typeof type === 'string' ? type.toLowerCase() : ''
  return types.has(wanted) ? wanted : 'text'
}

function id(value: unknown, field: string, maxLength: number): string {
  if (typeof value !== 'string' || value === '') {
    throw new NacosFault('parameter-missing', `Parameter '${field}' is missing`)
  }
  if (value.length > maxLength || !idPattern.test(value)) {
    throw new NacosFault(
      'parameter-invalid',
      `Param '${field}' is illegal, illegal characters should not appear in the param.`,
    )
  }
  return value
}
