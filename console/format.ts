/** Figures and times for people. */
import { t, language } from './words.ts'

export function count(value: number): string {
  return value.toLocaleString(language() === 'zh' ? 'zh-CN' : 'en-GB')
}

export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return '…'
  if (value === 0) return '0/s'
  return value < 10 ? `${value.toFixed(value < 0.1 ? 2 : 1)}/s` : `${count(Math.round(value))}/s`
}

export function share(part: number | null | undefined, whole: number | null | undefined): string {
  if (part === null || part === undefined || whole === null || whole === undefined) return '…'
  if (whole === 0 || part === 0) return '0 %'
  const percent = (part / whole) * 100
  return percent < 0.1 ? '<0.1 %' : `${percent.toFixed(percent < 10 ? 1 : 0)} %`
}

export function ms(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  if (value >= 10_000) return `${(value / 1000).toFixed(0)} s`
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`
}

export function time(at: number): string {
  const date = new Date(at)
  const two = (part: number): string => String(part).padStart(2, '0')
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  const isToday = new Date().toDateString() === date.toDateString()
  return isToday ? clock : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock}`
}

/** `5 s`, `3 min`, `2 h`, `12 d`. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} ${t('days')}`
}

/** Of a call: the application or service that made it, where that is known. */
export function callerName(source: string): string {
  return source === 'unknown' ? t('outside') : serviceName(source)
}

/** `public/DEFAULT_GROUP@@orders` as people say it: what is usual is left out. */
export function serviceName(key: string): string {
  return key
    .replace(/^public\//, '')
    .replace(/^DEFAULT_GROUP@@/, '')
    .replace(/\/DEFAULT_GROUP@@/, '/')
}
