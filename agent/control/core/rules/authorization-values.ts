/** What is wrong with exact text, `prefix*`, `*suffix` or `*`; undefined = nothing. */
export function matchProblem(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length === 0 || value.length > 2048)
    return 'allowed text of 1 to 2048 characters'
  if (value === '*') return undefined
  const stars = value.split('*').length - 1
  if (stars === 0 || (stars === 1 && (value.startsWith('*') || value.endsWith('*')))) return undefined
  return `found ${JSON.stringify(value.slice(0, 80))}, allowed exact text, or one * at its beginning or its end`
}
