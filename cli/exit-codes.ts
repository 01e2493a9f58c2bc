/** What the command's exit code says; shown in every help text and in `docs/cli.md`. */
export const exitCodes = {
  ok: 0,
  /** The command ran and the answer is no: not ready, a check that failed, a drill that failed. */
  failed: 1,
  /** The words of the call are wrong. */
  usage: 2,
  /** The configuration has problems; all of them are printed. */
  config: 3,
  /** The agent, its watchdog or the registry does not answer. */
  unreachable: 4,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]
