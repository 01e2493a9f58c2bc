/**
 * The last fence: workers that died without a word (a signal: SIGSEGV, but also the SIGKILL of somebody else) while
 * they kept their sockets themselves. Three of one worker within ten minutes, and the next one does not, until ten
 * minutes have passed since the first of them. A process that ends by itself, also by an exception, is none of them.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

export const deathsAllowed = 2
export const rememberedMs = 10 * 60_000

export interface DeathsDeps {
  /** Of one worker index, in the state directory. */
  readonly file: string
  /** Wall clock, ms. */
  readonly now: () => number
  readonly pid: number
  /** When that process was started, in the system's ticks; undefined when it is gone. */
  readonly startOf: (pid: number) => number | undefined
}

interface Noted {
  /** 0 = nobody: the last one ended by itself, or did without. */
  readonly pid: number
  readonly start: number
  /** Of those before it, ms. */
  readonly deaths: readonly number[]
}

export class Deaths {
  private readonly deps: DeathsDeps

  constructor(deps: DeathsDeps) {
    this.deps = deps
  }

  /** '' and from here on this process is noted; else why it must not. */
  begin(): string {
    const { file, now, pid, startOf } = this.deps
    const before = read(file)
    const hasDied =
      before !== undefined && before.pid !== 0 && before.pid !== pid && startOf(before.pid) !== before.start
    const all = [...(before?.deaths ?? []), ...(hasDied ? [now()] : [])]
    // A clock that was set back makes no death younger than now.
    const deaths = all.filter((at) => at <= now() && at > now() - rememberedMs).slice(-deathsAllowed - 1)
    if (deaths.length > deathsAllowed) {
      write(file, { pid: 0, start: 0, deaths })
      return `${deaths.length} workers died with it within ${rememberedMs / 60_000} minutes`
    }
    write(file, { pid, start: startOf(pid) ?? 0, deaths })
    return ''
  }

  /** This process ends by itself, or does without. */
  end(): void {
    const { file, pid } = this.deps
    const noted = read(file)
    if (noted?.pid !== pid) return
    if (noted.deaths.length === 0) rmSync(file, { force: true })
    else write(file, { ...noted, pid: 0, start: 0 })
  }
}

/** Field 22 of /proc/PID/stat. */
export function startOfProcess(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19])
  } catch {
    return undefined
  }
}

function read(file: string): Noted | undefined {
  try {
    const { deaths, pid, start } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Noted>
    if (typeof pid !== 'number' || typeof start !== 'number' || !Array.isArray(deaths)) return undefined
    return { pid, start, deaths: deaths.filter((at) => typeof at === 'number') }
  } catch {
    return undefined
  }
}

/** Where nothing can be written nobody is counted. */
function write(file: string, noted: Noted): void {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, JSON.stringify(noted), { mode: 0o600 })
    renameSync(temporary, file)
  } catch {
    // A full or read-only disk.
  }
}
