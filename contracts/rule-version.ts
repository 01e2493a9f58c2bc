/** Names the text of a rule, so that a host can say which version it has in force without showing it. */
import { createHash } from 'node:crypto'

/** 32 characters, hex. Same text, same version. */
export function ruleVersion(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
