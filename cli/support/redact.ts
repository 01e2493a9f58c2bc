/**
 * The second net under a support bundle: what leaves the host is masked where it is collected, and then once more here,
 * whatever page or log it came from.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { kindOf } from '../../agent/control/kinds/registries.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'

/** Shorter ones would be found in every other word. */
const shortestSecret = 6
const longestFile = 64 * 1024
const masked = '[masked]'

/** Up to so many are looked for one by one; more of them together, in one pass. */
const mostOneByOne = 16

const names = 'passw(?:or)?d|pwd|secret|token|credentials?|authorization|cookie|(?:private|api|access|secret)[-_]?key'
/** What looks like a secret, whoever wrote it, and what takes its place. */
const shapes: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, masked],
  // its beginning was cut off
  [/^(?:(?!-----BEGIN )[\s\S]){0,16384}?-----END [A-Z ]*PRIVATE KEY-----/, masked],
  [/\b(?:Bearer|Basic)\s{1,8}[A-Za-z0-9+/=._~-]{8,}/gi, masked],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g, masked],
  [/(?<=:\/\/[^/\s:@"]{0,64}:)[^@\s/"]{1,256}(?=@)/g, masked],
  // of JSON in JSON, too; a list or a map is no value
  [
    new RegExp(`((?:${names})\\\\?["']?\\s{0,4}[=:]\\s{0,4}\\\\?["']?)[^\\s"'\\\\&,{}[\\]]{1,512}`, 'gi'),
    `$1${masked}`,
  ],
]

/**
 * The text without what stands in the secret files of the configuration, and without what looks like a secret.
 *
 * @param secrets the longest first.
 */
export function redacted(text: string, secrets: readonly string[]): string {
  let result = text
  if (secrets.length <= mostOneByOne) for (const secret of secrets) result = result.replaceAll(secret, masked)
  else result = result.replaceAll(new RegExp(secrets.map((one) => escaped(one)).join('|'), 'g'), masked)
  for (const [shape, instead] of shapes) result = result.replace(shape, instead)
  return result
}

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')

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
    return beginningOf(file)
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.length >= shortestSecret && !line.startsWith('-----'))
  } catch {
    return []
  }
}

/** What a secret file is read for: none is longer. A pipe in its place must not have the bundle wait. */
function beginningOf(file: string): string {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const bytes = Buffer.alloc(longestFile)
    return bytes.toString('utf8', 0, readSync(descriptor, bytes))
  } finally {
    closeSync(descriptor)
  }
}
