/** How registries with one token are asked: by files that are read again with each question. */
import { readSecret } from './secret-file.ts'
import { sectionFiles } from './section-files.ts'
import { readTls } from './tls-files.ts'
import type { TlsFiles, TlsTexts } from './tls-files.ts'

/** What a section says of it. */
export interface AccessFiles {
  readonly tokenFile?: string | undefined
  readonly tls?: TlsFiles | undefined
}

/** The files of such a section. */
export const tokenFiles = sectionFiles(['tokenFile'])

export interface TokenAccess {
  readonly token: () => string | undefined
  readonly tls: () => TlsTexts | undefined
}

/** Throws for a file that cannot be read now. */
export function tokenAccess(section: AccessFiles): TokenAccess {
  const { tokenFile } = section
  const access: TokenAccess = {
    token: () => (tokenFile === undefined ? undefined : readSecret(tokenFile)),
    tls: () => readTls(section.tls),
  }
  access.token()
  access.tls()
  return access
}
