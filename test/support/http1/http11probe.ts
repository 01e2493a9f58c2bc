/** Http11Probe's cases (`vectors/http11probe.json`, MIT) and what their `expected` texts mean. */
import { readFileSync } from 'node:fs'

export interface ProbeCase {
  readonly id: string
  readonly scored: boolean
  readonly expected: string
  readonly description: string
  readonly bytes: Buffer
}

export type ProbeVerdict = 'pass' | 'warn' | 'fail'

/** What came back: a status (the last final one), or none; and whether the other side closed. */
export interface ProbeAnswer {
  readonly status: number | undefined
  readonly isClosed: boolean
}

export function loadProbeCases(): readonly ProbeCase[] {
  const text = readFileSync(new URL('./vectors/http11probe.json', import.meta.url), 'utf8')
  const cases = JSON.parse(text) as (Omit<ProbeCase, 'bytes'> & { readonly rawRequest: string })[]
  return cases.map(({ id, scored, expected, description, rawRequest }) => ({
    id,
    scored,
    expected,
    description,
    bytes: Buffer.from(rawRequest, 'latin1'),
  }))
}

/** The 64 cases where only 400 (or, for most, a close without an answer) counts. */
export function isCoreCase(probe: ProbeCase): boolean {
  return probe.scored && (probe.expected === '400' || probe.expected === '400 or close')
}

export function judgeProbe(expected: string, answer: ProbeAnswer): ProbeVerdict {
  const { status } = answer
  const isGood = status !== undefined && status >= 200 && status < 300
  const isBareClose = status === undefined && answer.isClosed
  const isSilence = status === undefined && !answer.isClosed
  const [refusals, rest] = splitExpected(expected)
  switch (expected) {
    case '!101':
      return status !== undefined && status !== 101 ? 'pass' : 'fail'
    case '2xx + close':
      return isGood ? (answer.isClosed ? 'pass' : 'warn') : 'fail'
    case '2xx':
      return isGood ? 'pass' : 'fail'
    case '2xx or close':
      return isGood || isBareClose ? 'pass' : 'fail'
    case '2xx or 400':
      return isGood ? 'pass' : status === 400 ? 'warn' : 'fail'
    case '200 or 505':
    case '200/206/400/416':
      return status !== undefined && expected.includes(String(status)) ? 'warn' : 'fail'
    case '400 or close (pass), 2xx (warn)':
      return status === 400 || isBareClose ? 'pass' : isGood ? 'warn' : 'fail'
    default:
  }
  if (status !== undefined && refusals.includes(status)) return 'pass'
  if (rest.includes('close') && isBareClose) return 'pass'
  if (rest.includes('timeout') && isSilence) return 'pass'
  if (rest.includes('2xx') && isGood) return 'warn'
  if (rest.includes('200') && status === 200) return 'warn'
  if (rest.includes('404') && status === 404) return 'warn'
  return 'fail'
}

/** `400/431 or close` to [[400, 431], 'close']; a slash list may end in close and timeout. */
function splitExpected(expected: string): [number[], string] {
  const [first = '', ...others] = expected.split(' or ')
  const words = first.split('/')
  const rest = [...words.filter((word) => !/^\d+$/.test(word)), ...others].join(' ')
  if (expected === '200 or 400') return [[400], '200']
  return [words.filter((word) => /^\d+$/.test(word)).map(Number), rest]
}
