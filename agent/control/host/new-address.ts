/** What is done about a new address of this host: a new generation, which listens and announces there. */
import { describeError } from '../../../contracts/errors.ts'
import type { OperatorReply, OperatorRequest } from '../../../contracts/handoff.ts'

export interface NewAddressDeps {
  /** Reads the configuration again; false = it is not valid. */
  readonly reload: () => boolean
  /** Whether this host's address is another one than this generation has. Named in the configuration it stays. */
  readonly isOther: () => boolean
  /** undefined: not known yet. */
  readonly watchdog: () =>
    | {
        readonly isLeading: boolean
        readonly isSupervised: boolean
        ask(request: OperatorRequest, timeoutMs: number): Promise<OperatorReply>
      }
    | undefined
  readonly error: (fields: { readonly address: string }, message: string) => void
}

/** How long a new generation may take, ms. */
const reloadMs = 60_000

/** Whether nothing is left to do about it. */
export async function followAddress(address: string, deps: NewAddressDeps): Promise<boolean> {
  const watchdog = deps.watchdog()
  if (watchdog?.isLeading !== true || !deps.reload()) return false
  if (!deps.isOther()) return true
  if (!watchdog.isSupervised) {
    deps.error({ address }, 'without a watchdog nobody can restart this agent; restart it')
    return true
  }
  const problem = await watchdog.ask({ type: 'reload', wait: 'serving' }, reloadMs).then(problemOf, describeError)
  if (problem === undefined) return true
  deps.error({ address }, `no new generation, it is tried again: ${problem}`)
  return false
}

function problemOf(reply: OperatorReply): string | undefined {
  if (reply.type !== 'outcome') return `the watchdog answers ${reply.type}`
  const { cause, outcome } = reply.report
  return outcome === 'done' ? undefined : `${outcome}: ${cause ?? 'without a cause'}`
}
