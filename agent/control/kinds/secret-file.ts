/** Files that hold a password, a key or a certificate. */
import { readFileSync } from 'node:fs'
import { MeshError } from '../../../contracts/errors.ts'
import { systemReason } from '../config/yaml-file.ts'

/** Longest user name, password or key that is read from a file. */
const maxSecretBytes = 65_536

/** Without the line end that editors leave. Throws E_CONFIG_UNREADABLE. */
export function readSecret(file: string): string {
  return readText(file).replace(/\r?\n$/, '')
}

/** Throws E_CONFIG_UNREADABLE, also for an empty file. */
export function readText(file: string): string {
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new MeshError(
      'E_CONFIG_UNREADABLE',
      `${file}: cannot be read: ${systemReason(cause)}; control does not start without it`,
      { cause },
    )
  }
  if (content.length === 0 || content.length > maxSecretBytes)
    throw new MeshError('E_CONFIG_UNREADABLE', `${file}: ${content.length} characters, allowed 1 to ${maxSecretBytes}`)
  return content
}
