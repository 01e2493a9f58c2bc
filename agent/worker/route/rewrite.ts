/**
 * New paths for the upstream. What a rule makes out of a caller's path is made safe for a request line again: it starts
 * with `/` and holds nothing that would end the target (space, control characters, `?`, `#` and non-ASCII become
 * percent escapes).
 */
import type { HttpMatchSpec, RewriteSpec } from '../../../contracts/route-spec.ts'
import { linearRegex } from './linear-regex.ts'
import type { RequestView } from './types.ts'

/**
 * Istio's meaning of `rewrite.uri`: a matched prefix is replaced, without a path condition the leading `/`; for exact
 * and regex matches the whole path. null when the path stays.
 */
export function compilePathRewrite(
  rewrite: RewriteSpec | undefined,
  match: HttpMatchSpec | undefined,
): ((view: RequestView) => string) | null {
  if (rewrite?.uriRegex !== undefined) {
    const regex = linearRegex(rewrite.uriRegex.match)
    const replacement = rewrite.uriRegex.rewrite
    return (view) => safePath(regex.replaceAll(view.path, replacement))
  }
  const uri = rewrite?.uri
  if (uri === undefined) return null
  const matched = match?.uri
  if (matched !== undefined && !('prefix' in matched)) return () => uri
  const prefixLength = matched === undefined ? 1 : matched.prefix.length
  return (view) => safePath(uri + view.path.slice(prefixLength))
}

function safePath(path: string): string {
  let isSafe = path.startsWith('/')
  for (let i = 0; isSafe && i < path.length; i++) isSafe = isPathCode(path.charCodeAt(i))
  return isSafe ? path : escaped(path)
}

function isPathCode(code: number): boolean {
  return code > 0x20 && code < 0x7f && code !== 0x3f && code !== 0x23
}

function escaped(path: string): string {
  let result = path.startsWith('/') ? '' : '/'
  for (const byte of Buffer.from(path, 'utf8')) {
    result += isPathCode(byte) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return result
}
