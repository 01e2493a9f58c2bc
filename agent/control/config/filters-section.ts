/** `filters`: code of users that requests pass through. */
import { isAbsolute, join } from 'node:path'
import * as z from 'zod'
import type { UserFilterSpec } from '../../../contracts/user-filter-spec.ts'
import { encodings } from '../../../contracts/builtin-filters.ts'
import type { BuiltinName } from '../../../contracts/builtin-filters.ts'
import { duration, flag, integer, leaf, oneOf, path, plainName, size } from './scalars.ts'

/** What compresses well, and is not compressed already. */
const textTypes = [
  'text/*',
  'application/json',
  'application/*+json',
  'application/javascript',
  'application/xml',
  'application/*+xml',
  'application/wasm',
  'image/svg+xml',
]

/** Of all settings of one filter, as JSON: each worker keeps them, and so does the snapshot on disk. */
const maxSettingsBytes = 65_536

const list = <const T extends readonly [string, ...string[]]>(...words: T) =>
  z
    .array(oneOf(...words))
    .min(1)
    .max(words.length)
const contentType = () =>
  leaf('a content type, parts of which may be *', (value) =>
    typeof value === 'string' && /^[A-Za-z0-9!#$&^_.+*-]{1,64}\/[A-Za-z0-9!#$&^_.+*-]{1,64}$/.test(value)
      ? value
      : undefined,
  )
const realm = () =>
  leaf('1 to 128 visible characters without " and \\', (value) =>
    typeof value === 'string' && /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$/.test(value) ? value : undefined,
  )
const fieldName = () =>
  leaf('the name of a field', (value) =>
    typeof value === 'string' && /^[A-Za-z0-9-]{1,128}$/.test(value) ? value.toLowerCase() : undefined,
  )

/** Settings of each filter that comes with us. */
const builtinSettings = {
  compression: z.strictObject({
    encodings: list(...encodings).prefault([...encodings]),
    level: integer(1, 9).prefault(1),
    minBytes: size('0B', '1GiB').prefault('1KiB'),
    contentTypes: z.array(contentType()).min(1).max(100).prefault(textTypes),
  }),
  bodyLimit: z.strictObject({ maxBytes: size('0B', '1024GiB').prefault('1MiB') }),
  basicAuth: z.strictObject({
    file: path(),
    realm: realm().prefault('hostmesh'),
    userHeader: fieldName().optional(),
  }),
} satisfies Record<BuiltinName, z.ZodType>

const settings = () =>
  leaf('a map of plain values, at most 64 KiB', (value): Record<string, unknown> | undefined => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const text = JSON.stringify(value)
    return text.length > maxSettingsBytes ? undefined : (JSON.parse(text) as Record<string, unknown>)
  })

const filter = z
  .strictObject({
    name: plainName('a name').describe('By which a MeshPolicy names it (`filters: [{ name }]`).'),
    builtin: oneOf('basicAuth', 'bodyLimit', 'compression')
      .optional()
      .describe('One that comes with us, in place of `path`.'),
    path: path()
      .optional()
      .describe(
        'Its module, of JavaScript, or of TypeScript whose types can be left out. It runs as the agent: nobody else may be able to write it.',
      ),
    settings: settings().prefault({}).describe('What its function is called with.'),
    deadline: duration('1ms', '60s').prefault('1s').describe('Of one answer that it promises; later, it failed.'),
    failOpen: flag()
      .prefault(false)
      .describe('Requests go on without it while it fails or is off; otherwise they are refused with 503.'),
    maxFailures: integer(0, 1_000_000)
      .prefault(10)
      .describe('In ten seconds of one worker; with one more it is off for `offTime`.'),
    offTime: duration('1s', '24h').prefault('60s').describe('Then it is tried again.'),
  })
  .superRefine(({ builtin, path: file, settings: given }, context) => {
    if ((builtin === undefined) === (file === undefined)) context.addIssue('allowed exactly one of path and builtin')
    if (builtin === undefined) return
    const { error } = builtinSettings[builtin].safeParse(given)
    for (const issue of error?.issues ?? []) context.addIssue({ ...issue, path: ['settings', ...issue.path] } as never)
  })

export const filtersSection = z
  .array(filter)
  .max(32)
  .prefault([])
  .describe('Code of your own that requests pass through ([filters.md](filters.md)).')

export function userFilterOf(
  { builtin, deadline, failOpen, maxFailures, name, offTime, path: given, settings: said }: z.output<typeof filter>,
  directory: string,
): UserFilterSpec {
  const located = (file: string): string => (isAbsolute(file) ? file : join(directory, file))
  return {
    name,
    ...(given === undefined ? {} : { path: located(given) }),
    ...(builtin === undefined ? {} : { builtin }),
    settings: builtin === undefined ? said : builtinSettingsOf(builtin, said, located),
    directory,
    deadlineMs: deadline,
    failOpen,
    maxFailures,
    offMs: offTime,
  }
}

/** With what holds where nothing is said, and paths from the folder of the configuration. */
function builtinSettingsOf(
  builtin: BuiltinName,
  said: Record<string, unknown>,
  located: (file: string) => string,
): Record<string, unknown> {
  const { file, ...rest } = builtinSettings[builtin].parse(said) as Record<string, unknown>
  return typeof file === 'string' ? { ...rest, file: located(file) } : rest
}
