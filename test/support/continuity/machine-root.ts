/** The root of a booted machine: an overlay over this one's, so the same programs, whose changes are gone with it. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class MachineRoot {
  /** In memory; the root lies in it, and whatever else is to be gone with the machine. */
  readonly folder = mkdtempSync(join(tmpdir(), 'hm-systemd-'))
  readonly root = join(this.folder, 'root')

  /** Throws with the words of `mount` where this machine cannot. */
  constructor() {
    try {
      mount('-t', 'tmpfs', 'none', this.folder)
      for (const name of ['upper', 'work', 'root']) mkdirSync(join(this.folder, name))
      const [upper, work] = ['upper', 'work'].map((name) => join(this.folder, name))
      mount('-t', 'overlay', 'overlay', '-o', `lowerdir=/,upperdir=${upper},workdir=${work}`, this.root)
    } catch (error) {
      this.remove()
      throw error
    }
  }

  remove(): void {
    spawnSync('umount', [this.root])
    spawnSync('umount', [this.folder])
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function mount(...words: string[]): void {
  const run = spawnSync('mount', words, { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(run.stderr)
}
