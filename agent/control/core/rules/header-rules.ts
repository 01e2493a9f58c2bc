/**
 * What a rule may write into a message head (R32: inserted names and values pass the same grammar as parsed ones, RFC
 * 9110 sections 5.1 and 5.5). Fields that frame a message or name the next hop are never a rule's to write.
 */

const ownedFields = new Set([
  'connection',
  'content-length',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const maxHeaderValueLength = 8192

/** undefined if the name may be set, added and removed. */
export function headerNameProblem(name: unknown): string | undefined {
  if (typeof name !== 'string' || name.length > 256) return 'not a header name'
  const lower = name.toLowerCase()
  if (lower === ':authority' || lower === 'host') return `${lower} cannot be edited; use rewrite.authority`
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower)) {
    return `${JSON.stringify(name.slice(0, 80))} is no header name (letters, digits and !#$%&'*+.^_\`|~-)`
  }
  if (ownedFields.has(lower)) return `${lower} frames the message and belongs to the proxy; it cannot be edited`
  if (lower.startsWith('x-mesh-')) return `${lower} is a header of the mesh itself; it cannot be edited`
  return undefined
}

/** undefined if the value may be written as it is. */
export function headerValueProblem(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'found no text, allowed text (quote numbers and true/false)'
  if (value.length > maxHeaderValueLength) return `${value.length} characters, allowed ${maxHeaderValueLength}`
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code > 0x7e || (code < 0x20 && code !== 0x09)) {
      return `character ${i} is 0x${code.toString(16)}, allowed printable ASCII and tab`
    }
  }
  if (value !== value.trim()) return 'begins or ends with white space'
  const formatter = /%[A-Z][A-Z0-9_]*(?:\([^)]*\))?(?::\d+)?%/.exec(value)
  if (formatter !== null) return `${formatter[0]}: formatters in header values are not implemented by this version`
  return undefined
}
