/** Runs measurements one after the other; one that fails costs only its own figures. */

export interface Verdict {
  /** Notes `what` as a problem unless it is true. */
  must(isTrue: boolean, what: string): void
}

export interface Part {
  readonly name: string
  /** Answers the figures for the results file. */
  run(verdict: Verdict): Promise<unknown>
}

export interface Outcome {
  readonly parts: Readonly<Record<string, unknown>>
  readonly problems: readonly string[]
  readonly failed: readonly { readonly part: string; readonly error: string }[]
}

export async function runParts(parts: readonly Part[], say: (line?: string) => void): Promise<Outcome> {
  const found: Record<string, unknown> = {}
  const problems: string[] = []
  const failed: { part: string; error: string }[] = []
  const must = (isTrue: boolean, what: string): void => {
    if (!isTrue) problems.push(what)
  }
  for (const { name, run } of parts) {
    say()
    try {
      found[name] = await run({ must })
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      failed.push({ part: name, error: text })
      say(`FAILED ${name}: ${text}`)
    }
  }
  return { parts: found, problems, failed }
}
