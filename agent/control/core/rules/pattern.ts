/**
 * Whether a user's regular expression may reach a worker: RE2 syntax (no look-around, no back-references), so that its
 * time is linear, and small enough that the worst subject costs little. Same engine and mode as
 * `agent/worker/route/linear-regex.ts`.
 */
import { RE2JS } from 're2js'

const maxPatternLength = 1024

/** Instructions of the compiled program; Envoy's long-time default is 100. */
const maxProgramSize = 200

/** undefined if the pattern is good. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === '') return 'an empty pattern, allowed a regular expression in RE2 syntax'
  if (pattern.length > maxPatternLength) return `${pattern.length} characters, allowed ${maxPatternLength}`
  let size: number
  try {
    size = RE2JS.compile(pattern, RE2JS.DOTALL).programSize()
  } catch (error) {
    const reason =
      error instanceof Error
        ? error.message.replace(/^error parsing regexp: /, '').replace('`(?s)', '`')
        : String(error)
    return `not RE2 syntax: ${reason}`
  }
  return size > maxProgramSize
    ? `compiles to ${size} instructions, allowed ${maxProgramSize}; make it simpler`
    : undefined
}

/** Groups of a good pattern, for the check of a rewrite's references. */
export function groupCount(pattern: string): number {
  try {
    return RE2JS.compile(pattern, RE2JS.DOTALL).groupCount()
  } catch {
    return 0
  }
}
