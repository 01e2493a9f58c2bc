/**
 * The second net under a support bundle: what leaves the host is masked where it is collected, and then once more here,
 * whatever page or log it came from.
 */
import { readFileSync, statSync } from 'node:fs'
import { kindOf } from '../../agent/control/kinds/registries.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'

/** Shorter ones would be found in every other word. */
const shortestSecret = 6
const longestFile = 64 * 1024
const masked = '[masked]'

/** What looks like a secret, whoever wrote it. */
const shapes: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  /\b(?:Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}/gi,
  /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g,
  /(?<=:\/\/[^/\s:@"]{0,64}:)[^@\s/"]{1,256}(?=@)/g,
  /(?<=\b(?:password|passwd|accessToken|access_token|secretKey)["']?\s{0,4}[=:]\s{0,4}["']?)[^\s"'&,}]{1,512}/gi,
]

/** The text without what stands in the secret files of the configuration, and without what looks like a secret. */
export function redacted(text: string, secrets: readonly string[]): string {
  let result = text
  for (const secret of secrets) result = result.replaceAll(secret, masked)
  for (const shape of shapes) result = result.replaceAll(shape, masked)
  return result
}

/** Every line of every secret file that this user may read; names of users are no secrets. The longest first. */
export function secretsOf(config: AgentConfig): string[] {
  const files = new Set<string>(
    [
      config.center.secretFile,
      config.relay?.secretFile,
      config.tracing.collector?.headersFile,
      config.accessLog.collector?.headersFile,
      ...config.registries.flatMap((section) =>
        kindOf(section)
          .files(section)
          .filter(({ isSecret, path }) => isSecret && path.at(-1) !== 'usernameFile')
          .map(({ file }) => file),
      ),
      ...namedSecrets(config),
    ].filter((file) => file !== undefined),
  )
  // of `authorization: Basic …` the value is a secret by itself, too
  const lines = [...files].flatMap(linesOf).flatMap((line) => [line, line.replace(/^[\w-]+:\s*/, '')])
  const encoded = lines.flatMap((line) => [line, encodeURIComponent(line), JSON.stringify(line).slice(1, -1)])
  return [...new Set(encoded)]
    .filter((secret) => secret.length >= shortestSecret)
    .toSorted((a, b) => b.length - a.length)
}

/** Files under any key that says so, also of the sections that only a center has. */
function namedSecrets(value: unknown, depth = 0): string[] {
  if (typeof value !== 'object' || value === null || depth > 8) return []
  return Object.entries(value).flatMap(([key, one]) =>
    typeof one === 'string' && /^(?:\w*(?:secret|password|tokens?|headers)File|key)$/i.test(key) && one.startsWith('/')
      ? [one]
      : namedSecrets(one, depth + 1),
  )
}

function linesOf(file: string): string[] {
  try {
    if (statSync(file).size > longestFile) return []
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.length >= shortestSecret && !line.startsWith('-----'))
  } catch {
    return []
  }
}
