/** How registries with one token are asked: by files that are read again with each question. */
import { isLoopback } from '../../../contracts/ip-literal.ts'
import type { HostPort } from '../config/scalars.ts'
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

/** Who listens on the way would have the token: what is wrong with such a section. */
export function tokenInPlain({ servers, tls, tokenFile }: AccessFiles & { servers: readonly HostPort[] }): string[] {
  const far = tokenFile === undefined || tls !== undefined ? undefined : servers.find(({ host }) => !isLoopback(host))
  return far === undefined ? [] : [`tokenFile: without tls the token would be read on the way to ${far.host}`]
}

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
