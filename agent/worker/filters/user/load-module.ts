import { statSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { MakeFilter } from '../../../../contracts/user-filter.ts'
import type { BuiltinName } from '../../../../contracts/builtin-filters.ts'
import type { UserFilterSpec } from '../../../../contracts/user-filter-spec.ts'
import { basicAuth } from './builtin/basic-auth.ts'
import { bodyLimit } from './builtin/body-limit.ts'
import { compression } from './builtin/compression.ts'
import { distrustOf } from '../../../../native/private-directory.ts'

const builtins: Readonly<Record<BuiltinName, MakeFilter>> = { basicAuth, bodyLimit, compression }

/** Throws why the module may not be run, or is no filter. Its file runs as the agent: who may write it is the agent. */
export async function loadModule({ builtin, path }: UserFilterSpec): Promise<MakeFilter> {
  if (path === undefined) return builtins[builtin!]
  const distrust = distrustOf(path)
  if (distrust !== undefined) throw new Error(`${path} is not trusted: ${distrust}`)
  const { default: make } = (await import(pathToFileURL(path).href)) as { default?: unknown }
  if (typeof make !== 'function') throw new TypeError(`${path}: its default export is no function`)
  return make as MakeFilter
}

/** By which a filter is known again: another file, or other settings, are another one. */
export function fingerprintOf(spec: UserFilterSpec): string {
  try {
    const { ino, mtimeMs, size } = statSync(spec.path ?? '')
    return `${mtimeMs} ${size} ${ino} ${JSON.stringify(spec)}`
  } catch {
    return JSON.stringify(spec)
  }
}
