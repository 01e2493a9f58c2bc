/** What a program inside a booted machine needs: steps with a result each, systemd, and the watchdog's word. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import type { OperatorReply, WatchdogState } from '../../../contracts/handoff.ts'
import { handoffVersion, maxHandoffFrameBytes } from '../../../contracts/handoff.ts'
import { dialFrames } from '../../../native/frame-stream.ts'

const [, , results = '/results/steps', boot = 'first'] = process.argv

/** `act` answers what is wrong, or undefined. */
export async function step(name: string, act: () => Promise<string | undefined>): Promise<void> {
  let problem: string | undefined
  try {
    problem = await act()
  } catch (error) {
    problem = error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  if (problem !== undefined) problem += `\n${systemctl('status', 'hostmesh')}`
  appendFileSync(results, `${JSON.stringify({ boot, name, problem })}\n`)
}

export function systemctl(...words: string[]): string {
  try {
    return execFileSync('systemctl', ['--no-pager', '--full', ...words], { encoding: 'utf8', timeout: 90_000 }).trim()
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string }
    return `failed: ${stdout ?? ''}${stderr ?? ''}`
  }
}

export function mainPid(unit = 'hostmesh'): number {
  return Number(systemctl('show', '-P', 'MainPID', unit))
}

export function state(): Promise<WatchdogState> {
  return new Promise((resolve, reject) => {
    dialFrames('/run/hostmesh/watchdog.sock', maxHandoffFrameBytes, undefined, {
      onMessage: (raw) => {
        const reply = raw as unknown as OperatorReply
        if (reply.type === 'state') resolve(reply.state)
      },
      onClose: () => reject(new Error('hung up')),
    }).then((stream) => {
      stream.send({ type: 'operator', link: handoffVersion })
      stream.send({ type: 'status' })
      return undefined
    }, reject)
  })
}

export async function until(
  what: string,
  isTrue: (now: WatchdogState) => boolean,
  timeoutMs = 30_000,
): Promise<WatchdogState> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    try {
      const now = await state()
      if (isTrue(now)) return now
    } catch {
      // Between two lives.
    }
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Two workers, none of them starting. */
export const serves = (now: WatchdogState): boolean =>
  now.generations[0]?.phase === 'serving' && now.generations[0].children.filter((child) => child.isServing).length === 2

/** Leaves the unit's journal where the test finds it. */
export function keepJournal(): void {
  try {
    cpSync('/run/hostmesh/watchdog.json', `${results}.${boot}.json`)
  } catch {
    // Only for people.
  }
  writeFileSync(`${results}.${boot}.log`, execFileSync('journalctl', ['-u', 'hostmesh', '--no-pager', '-n', '300']))
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}
