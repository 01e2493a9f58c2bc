/** What every command is given; the composition root makes it, tests make their own. */
import type { AdminClient } from './admin-client.ts'
import type { Output } from './output.ts'

export interface CommandContext {
  readonly output: Output
  /** Dials only when it is asked. */
  readonly admin: AdminClient
  /** Where its watchdog is; undefined when only an admin address was named. */
  readonly runDir: string | undefined
}
