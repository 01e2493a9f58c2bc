/** What a token said whose signature, times, issuer and audience were found good. */
export interface VerifiedToken {
  /** `ISSUER/SUBJECT`; empty without a subject. */
  readonly principal: string
  /** Own fields only: names come from outside. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** The texts of a claim, by its path: of a text itself, of a list each text, of a number or truth value its text. */
export function claimTexts({ claims }: VerifiedToken, path: readonly string[]): readonly string[] {
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return []
    value = (value as Record<string, unknown>)[name]
  }
  return (Array.isArray(value) ? value : [value]).flatMap(textOf)
}

function textOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'number' || typeof value === 'boolean' ? [String(value)] : []
}
