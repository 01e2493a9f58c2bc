const parameters: readonly string[] = ['resource', 'mask', 'include_eds']

/**
 * Why `/config_dump` cannot be answered as it is asked; undefined = it can. What it would not heed is refused: an
 * answer that looks like the wanted one misleads, above all where it says more.
 */
export function dumpProblem(query: URLSearchParams): string | undefined {
  const unknown = [...query.keys()].find((name) => !parameters.includes(name))
  if (unknown !== undefined) return `parameter "${unknown}", allowed ${parameters.join(', ')}`
  const mask = query.get('mask')
  if (mask !== null && mask !== 'off') return `mask "${mask}", allowed off; fields are not chosen by it`
  const isOwnForm = query.has('resource')
  if (mask === 'off' && !isOwnForm) return "mask=off without resource: Envoy's form has no unmasked values"
  if (isOwnForm && query.has('include_eds')) return "include_eds is of Envoy's form; resource=services has endpoints"
  return undefined
}
