/** What systemd has to do with a process of this host, as far as this user may see it. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** Whether a watchdog was started by systemd, which then starts the next one; nobody else may. */
export function hasServiceManager(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
      .split('\0')
      .some((line) => line.startsWith('NOTIFY_SOCKET='))
  } catch {
    // another user's, and this one may not trace it: the unit that it is in tells as much
    return unitOf(pid)?.startsWith('hostmesh') === true
  }
}

/** Whether systemd runs this machine, sd_booted(3). */
export function isSystemdHost(): boolean {
  return existsSync('/run/systemd/system')
}

/** The unit that a process belongs to, `hostmesh.service`; undefined when it cannot be told or it is in none. */
export function unitOf(pid: number): string | undefined {
  try {
    return /\/([^/\n]+\.service)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

/** What a program of the system prints; undefined when it is not there, fails, or takes longer. At most 64 MiB. */
export function printed(program: string, words: readonly string[], timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024, env: { PATH: process.env['PATH'], LC_ALL: 'C' } }
    execFile(program, [...words], options, (error, out) => resolve(error === null ? out : undefined))
  })
}

/** `Key=Value` lines, as `systemctl show` and `timedatectl show` print them. */
export function properties(text: string): ReadonlyMap<string, string> {
  return new Map(
    text
      .split('\n')
      .map((line) => /^([^=]+)=(.*)$/.exec(line))
      .filter((match) => match !== null)
      .map((match) => [match[1]!, match[2]!] as const),
  )
}
