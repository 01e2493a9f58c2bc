/** What a push says it is about. */
import { groupSeparator, splitGroupedName } from '../wire/service-name.ts'

export interface PushedService {
  /** Real servers do not say it. */
  readonly namespace: string | undefined
  readonly group: string
  readonly name: string
  readonly info: unknown
}

/** undefined = it names no service. */
export function readPush(body: Readonly<Record<string, unknown>>): PushedService | undefined {
  const info = body['serviceInfo'] as Readonly<Record<string, unknown>> | null | undefined
  const text = body['serviceName'] ?? info?.['name']
  const group = body['groupName'] ?? info?.['groupName']
  if (typeof text !== 'string' || (typeof group !== 'string' && !text.includes(groupSeparator))) return undefined
  const split = splitGroupedName(text, typeof group === 'string' ? group : undefined)
  const namespace = body['namespace']
  return {
    namespace: typeof namespace === 'string' && namespace !== '' ? namespace : undefined,
    group: split.group,
    name: split.name,
    info,
  }
}
