import { protoFields } from './proto-fields.ts'

/**
 * Envoy's HeaderValue (base.proto): a name in lower case, and a value as text or as bytes; a part that it does not
 * say stays as it is given. Throws as `protoFields`.
 */
export function readHeaderValue(bytes: Buffer, name = '', value = ''): readonly [name: string, value: string] {
  for (const field of protoFields(bytes)) {
    if (field.number === 1) name = field.bytes.toString('utf8').toLowerCase()
    if (field.number === 2 || field.number === 3) value = field.bytes.toString('utf8')
  }
  return [name, value]
}
