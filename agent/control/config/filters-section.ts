/** `filters`: code of users that requests pass through. */
import { isAbsolute, join } from 'node:path'
import * as z from 'zod'
import type { UserFilterSpec } from '../../../contracts/user-filter-spec.ts'
import { duration, flag, integer, leaf, path, plainName } from './scalars.ts'

/** Of all settings of one filter, as JSON: each worker keeps them, and so does the snapshot on disk. */
const maxSettingsBytes = 65_536

const settings = () =>
  leaf('a map of plain values, at most 64 KiB', (value): Record<string, unknown> | undefined => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const text = JSON.stringify(value)
    return text.length > maxSettingsBytes ? undefined : (JSON.parse(text) as Record<string, unknown>)
  })

const filter = z.strictObject({
  name: plainName('a name').describe('By which a MeshPolicy names it (`filters: [{ name }]`).'),
  path: path().describe(
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

export const filtersSection = z
  .array(filter)
  .max(32)
  .prefault([])
  .describe('Code of your own that requests pass through ([filters.md](filters.md)).')

export function userFilterOf(
  { deadline, failOpen, maxFailures, name, offTime, path: given, settings: said }: z.output<typeof filter>,
  directory: string,
): UserFilterSpec {
  return {
    name,
    path: isAbsolute(given) ? given : join(directory, given),
    settings: said,
    directory,
    deadlineMs: deadline,
    failOpen,
    maxFailures,
    offMs: offTime,
  }
}
