/** Certificates of hosts as files, as `tls.identities` names them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Authority, Issued } from './authority.ts'

export class IdentityFiles {
  private readonly folder: string
  private readonly authority: Authority

  constructor(directory: string, name: string, authority: Authority) {
    this.folder = join(directory, 'identities', name)
    this.authority = authority
  }

  /** For `tls` of a configuration. */
  get section(): object {
    const [certificate, key, trustBundle] = ['a.pem', 'a.key', 'roots.pem'].map((file) => join(this.folder, file))
    return { identities: [{ certificate, key, trustBundle }] }
  }

  write({ certificate, key }: Issued): this {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    writeFileSync(join(this.folder, 'a.pem'), certificate)
    writeFileSync(join(this.folder, 'a.key'), key, { mode: 0o600 })
    writeFileSync(join(this.folder, 'roots.pem'), this.authority.certificate)
    return this
  }
}
