/** What the command's exit code says. */
export const exitCodes = {
  ok: 0,
  /** Not ready, a check that failed, a drill that failed. */
  failed: 1,
  usage: 2,
  /** All problems are printed. */
  config: 3,
  unreachable: 4,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** The one text for each: help, manual pages and `docs/cli.md` have it from here. */
export const exitCodeMeanings: Readonly<Record<ExitCode, string>> = {
  [exitCodes.ok]: 'good',
  [exitCodes.failed]: 'the command ran and the answer is no',
  [exitCodes.usage]: 'wrong words in the call',
  [exitCodes.config]: 'the configuration has problems',
  [exitCodes.unreachable]: 'agent, watchdog or registry does not answer',
}

/** As every help text ends. */
export const exitCodeHelp = `
Exit codes: ${Object.entries(exitCodeMeanings)
  .map(([code, meaning]) => `${code} ${meaning}`)
  .join(', ')}.`
