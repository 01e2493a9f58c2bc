/** Values of the store as far as they are what this version knows. */
import type { DeletedObject, KeptObject } from './rule-object.ts'

/** undefined: no rule, or one of a version that knows more. */
export function readKept(text: string): KeptObject | undefined {
  const kept = parsed(text) as Partial<KeptObject> | null | undefined
  if (typeof kept?.object?.metadata?.name !== 'string' || typeof kept.object.kind !== 'string') return undefined
  const { object, changedAt = '', owners = {}, change } = kept
  return { object, changedAt, owners, ...(change === undefined ? {} : { change }) }
}

export function readDeleted(text: string): DeletedObject | undefined {
  const value = parsed(text) as Partial<DeletedObject> | null | undefined
  if (typeof value?.deleted?.name !== 'string' || typeof value.change?.user !== 'string') return undefined
  return value as DeletedObject
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
