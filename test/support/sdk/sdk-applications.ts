/** Applications with the SDK that keep their files in one folder; all of it is gone with `close()`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMesh } from '../../../sdk/index.ts'
import type { Mesh, MeshOptions } from '../../../sdk/index.ts'

export class SdkApplications {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'hm-sdk-'))
  readonly opened: Mesh[] = []
  private readonly options: () => Partial<MeshOptions>

  /** `options`: of each that is opened from then on. */
  constructor(options: () => Partial<MeshOptions>) {
    this.options = options
  }

  open(application: string, more: Partial<MeshOptions> = {}): Mesh {
    const made = createMesh({ application, dataDirectory: this.folder, ...this.options(), ...more })
    this.opened.push(made)
    return made
  }

  async close(): Promise<void> {
    await Promise.all(this.opened.splice(0).map((one) => one.close()))
    rmSync(this.folder, { recursive: true, force: true })
  }
}
