/** Options that several commands have, and how their values are read. */
import { InvalidArgumentError, Option } from 'commander'
import { eventKinds } from '../contracts/events.ts'

export const defaultConfig = '/etc/hostmesh/agent.yaml'
export const defaultCenterConfig = '/etc/hostmesh/center.yaml'

export const adminOption = (): Option =>
  new Option(
    '--admin <address>',
    'host:port or path of the socket of the admin interface, instead of the one in the configuration',
  ).env('HOSTMESH_ADMIN')

export const runDirOption = (): Option =>
  new Option('--run-dir <directory>', 'run directory of the watchdog, instead of the one in the configuration').env(
    'HOSTMESH_RUN_DIR',
  )

export const configOption = (path: string): Option =>
  new Option('-c, --config <file>', 'configuration file').default(path).env('HOSTMESH_CONFIG')

export const waitOption = (): Option =>
  new Option('--wait <event>', 'return when the new generation serves, or when the old one is gone')
    .choices(['serving', 'gone'])
    .default('gone')

/** ms of `500ms`, `10s`, `5m` or `1h`. */
export function durationMs(text: string): number {
  const match = /^(\d+)(ms|s|m|h)$/.exec(text)
  if (match === null)
    throw new InvalidArgumentError(`found "${text}", allowed is a duration such as 500ms, 10s, 5m or 1h`)
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] as 'ms' | 's' | 'm' | 'h']
}

/** ms of `30s`, `10m`, `1h` or `7d`. */
export function lifetimeMs(text: string): number {
  const match = /^(\d{1,6})(s|m|h|d)$/.exec(text)
  if (match === null) throw new InvalidArgumentError(`found "${text}", allowed is a duration such as 10m, 1h or 7d`)
  return Number(match[1]) * { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as 's' | 'm' | 'h' | 'd']
}

/** 0..1 of `10%` or `10`. */
export function sharePercent(text: string): number {
  const value = /^\d{1,3}(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : Number.NaN
  if (!(value >= 0 && value <= 100)) throw new InvalidArgumentError(`found "${text}", allowed 0 to 100, in percent`)
  return value / 100
}

/** A time, or how long ago. */
export type SinceTime = { readonly at: number } | { readonly agoMs: number }

export function sinceTime(text: string): SinceTime {
  if (/^\d{1,6}[smhd]$/.test(text)) return { agoMs: lifetimeMs(text) }
  const at = /^\d{4}-/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(at))
    throw new InvalidArgumentError(`found "${text}", allowed is 30m, 2h or 7d, or a time such as 2026-01-31T12:00Z`)
  return { at }
}

export function kindsOf(text: string): string {
  for (const kind of text.split(','))
    if (!(eventKinds as readonly string[]).includes(kind))
      throw new InvalidArgumentError(`found "${kind}", allowed ${eventKinds.join(', ')}`)
  return text
}

export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new InvalidArgumentError(`found "${text}", allowed is a whole number from 1 on`)
  return Number(text)
}

export function positiveNumber(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError(`found "${text}", allowed is a number above 0`)
  return value
}

export function percent(text: string): number {
  const value = Number(text)
  if (!/^\d/.test(text) || !Number.isFinite(value))
    throw new InvalidArgumentError(`found "${text}", allowed is a number of percent from 0 on`)
  return value
}

/** Of an option that may be repeated. */
export function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value]
}
