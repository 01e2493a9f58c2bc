/**
 * Files that say which filter held a worker up: `NAME.PID.json` in the state directory. They outlive the process that
 * had to end, so that the next one does without the filter.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface HangMark {
  readonly filter: string
  /** Of the filter as it was: a changed one begins anew. */
  readonly fingerprint: string
  readonly pid: number
  /** False: it was only slow so far; it counts once its process is gone. */
  readonly isSure: boolean
}

const maxMarkBytes = 4096

export class HangMarks {
  private readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  write(mark: HangMark): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 })
    writeFileSync(this.fileOf(mark), JSON.stringify(mark), { mode: 0o600 })
  }

  remove(mark: Pick<HangMark, 'filter' | 'pid'>): void {
    rmSync(this.fileOf(mark), { force: true })
  }

  /** Of the filter as it is now. Marks of what it was before are removed. */
  has(filter: string, fingerprint: string): boolean {
    let isMarked = false
    for (const mark of this.all()) {
      if (mark.filter !== filter) continue
      if (mark.fingerprint !== fingerprint) this.remove(mark)
      else if (mark.isSure || !isAlive(mark.pid)) isMarked = true
    }
    return isMarked
  }

  /** What cannot be read is passed over. */
  private all(): HangMark[] {
    let names: string[]
    try {
      names = readdirSync(this.directory)
    } catch {
      return []
    }
    return names.flatMap((name) => {
      try {
        const text = readFileSync(join(this.directory, name), 'utf8')
        return text.length > maxMarkBytes ? [] : [JSON.parse(text) as HangMark]
      } catch {
        return []
      }
    })
  }

  private fileOf({ filter, pid }: Pick<HangMark, 'filter' | 'pid'>): string {
    return join(this.directory, `${filter}.${pid}.json`)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
