/** What an operator who waits for an upgrade with a canary is told meanwhile. */
import type { CanaryReport, SignalsSeen } from '../../contracts/canary.ts'
import type { Output } from '../output.ts'
import { askWatchdog } from '../watchdog-client.ts'

const everyMs = 5000
const statusTimeoutMs = 5000

/** One line every five seconds while there is a canary, until `work` is settled; on standard error, as notes go. */
export async function whileTelling<T>(output: Output, runDir: string, work: Promise<T>): Promise<T> {
  const timer = setInterval(() => {
    askWatchdog(runDir, { type: 'status' }, statusTimeoutMs)
      .then((reply) => {
        const canaries = reply.type === 'state' ? reply.state.generations.map(({ canary }) => canary) : []
        for (const one of canaries) if (one !== undefined) output.problem(canaryLine(one))
        return undefined
      })
      // the answer to the upgrade says what is wrong
      .catch(() => {})
  }, everyMs)
  return work.finally(() => clearInterval(timer))
}

export function canaryLine({ canary, forMs, others, says, servedMs, verdict }: CanaryReport): string {
  const time = `${Math.round(servedMs / 1000)} s of ${Math.round(forMs / 1000)} s`
  return `canary ${verdict}, ${time}: ${says}; canary: ${sideLine(canary)}; others: ${sideLine(others)}`
}

function sideLine({ failed, p50Ms, p95Ms, requests }: SignalsSeen): string {
  const latency = p50Ms < 0 ? '' : `, median ${p50Ms} ms, p95 ${p95Ms} ms`
  return `${requests} requests, ${failed} failed${latency}`
}
