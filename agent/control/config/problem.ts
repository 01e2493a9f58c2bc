/** One thing that is wrong in a configuration file, in the words of the house: where, found, allowed, nearest. */
export interface ConfigProblem {
  readonly severity: 'error' | 'warning'
  /** Path of the file as it was given or found. */
  readonly file: string
  /** From 1; 0 = the file as a whole. */
  readonly line: number
  readonly column: number
  /** `outbound.services[0].port`; empty for the file as a whole. */
  readonly path: string
  /** Lower case, no full stop: found against allowed. Never a secret. */
  readonly message: string
  /** What was probably meant. */
  readonly nearest: string | undefined
}

/** `agent.yaml:12:3  outbound.portRange: found "2000", allowed …`. */
export function formatProblem(problem: ConfigProblem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file
  const path = problem.path === '' ? '' : `${problem.path}: `
  const hint = problem.nearest === undefined ? '' : ` (nearest: ${problem.nearest})`
  const mark = problem.severity === 'warning' ? 'warning: ' : ''
  return `${place}  ${mark}${path}${problem.message}${hint}`
}

/** `outbound.services[0].port` from `['outbound', 'services', 0, 'port']`. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? String(part) : `.${String(part)}`
  }
  return text
}

/** A found value, short enough for a line. Values under a name that smells of a secret are never shown. */
export function describeFound(value: unknown, path: readonly PropertyKey[] = []): string {
  if (value === undefined || value === null) return 'nothing'
  if (path.some((part) => typeof part === 'string' && /password|secret|token|(?:^|[a-z])Key$/i.test(part)))
    return typeof value === 'object' ? kindOf(value) : 'a value'
  if (typeof value === 'object') return kindOf(value)
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text
}

function kindOf(value: object): string {
  return Array.isArray(value) ? 'a list' : 'a map'
}
