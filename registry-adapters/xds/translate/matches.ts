/** Conditions of a route as `match` of a VirtualService. */
import type { HeaderMatcherMessage, RouteMatchMessage, StringMatcherMessage } from '../wire/route.ts'
import type { Faults } from '../wire/faults.ts'

type Condition = Readonly<Record<string, string>>

/** Alternatives; undefined = every request. */
export function matchesOf(match: RouteMatchMessage | undefined, path: string, faults: Faults): object[] | undefined {
  if (match === undefined) {
    faults.add(path, 'found nothing, allowed a match')
    return undefined
  }
  const headers = new Map<string, Condition>()
  const withoutHeaders = new Map<string, Condition>()
  const special: Record<string, Condition> = {}
  if (match.grpc === true) headers.set('content-type', { prefix: 'application/grpc' })
  match.headers?.forEach((header, at) => {
    const where = `${path}.headers[${at}]`
    const name = (header.name ?? '').toLowerCase()
    const condition = headerCondition(header, where, faults)
    const isWithout = (header.invert_match === true) !== (header.present_match === false)
    if (name.startsWith(':')) {
      const key = pseudoFields[name]
      if (key === undefined || isWithout)
        faults.add(`${where}.name`, `found ${name}, allowed :method, :authority and :scheme, not inverted`)
      else special[key] = condition
      return
    }
    const into = isWithout ? withoutHeaders : headers
    if (into.has(name)) faults.add(`${where}.name`, 'a second condition on the same header')
    into.set(name, condition)
  })
  const queryParams = new Map<string, Condition>()
  match.query_parameters?.forEach((one, at) => {
    const where = `${path}.query_parameters[${at}]`
    queryParams.set(
      one.name ?? '',
      one.string_match === undefined ? {} : stringCondition(one.string_match, `${where}.string_match`, faults),
    )
  })
  const common = {
    ...special,
    ...(headers.size > 0 ? { headers: Object.fromEntries(headers) } : {}),
    ...(withoutHeaders.size > 0 ? { withoutHeaders: Object.fromEntries(withoutHeaders) } : {}),
    ...(queryParams.size > 0 ? { queryParams: Object.fromEntries(queryParams) } : {}),
  }
  const uris = uriConditions(match)
  const isEvery = uris.length === 0 && Object.keys(common).length === 0
  if (isEvery) return undefined
  const caseless = match.case_sensitive === false ? { ignoreUriCase: true } : {}
  return uris.length === 0 ? [common] : uris.map((uri) => ({ uri, ...caseless, ...common }))
}

const pseudoFields: Readonly<Record<string, string>> = {
  ':method': 'method',
  ':authority': 'authority',
  ':scheme': 'scheme',
}

function uriConditions(match: RouteMatchMessage): Condition[] {
  const { path_separated_prefix: folder, path, prefix, safe_regex: pattern } = match
  if (path !== undefined) return [{ exact: path }]
  if (pattern !== undefined) return [{ regex: pattern.regex ?? '' }]
  if (folder !== undefined) return [{ exact: folder }, { prefix: `${folder}/` }]
  return prefix === undefined || prefix === '/' || prefix === '' ? [] : [{ prefix }]
}

function headerCondition(header: HeaderMatcherMessage, path: string, faults: Faults): Condition {
  const { exact_match: exact, prefix_match: prefix, suffix_match: suffix, contains_match: contains } = header
  if (header.string_match !== undefined) return stringCondition(header.string_match, `${path}.string_match`, faults)
  if (exact !== undefined) return { exact }
  if (header.safe_regex_match !== undefined) return { regex: header.safe_regex_match.regex ?? '' }
  if (prefix === undefined && suffix === undefined && contains === undefined) return {}
  return stringCondition(
    {
      ...(prefix === undefined ? {} : { prefix }),
      ...(suffix === undefined ? {} : { suffix }),
      ...(contains === undefined ? {} : { contains }),
    },
    path,
    faults,
  )
}

function stringCondition(match: StringMatcherMessage, path: string, faults: Faults): Condition {
  const { contains, exact, ignore_case: isCaseless = false, prefix, safe_regex: pattern, suffix } = match
  if (pattern !== undefined) return { regex: pattern.regex ?? '' }
  if (!isCaseless && exact !== undefined) return { exact }
  if (!isCaseless && prefix !== undefined) return { prefix }
  const text = exact ?? prefix ?? suffix ?? contains
  if (text === undefined) {
    faults.add(path, 'found no condition')
    return {}
  }
  const before = suffix === undefined && contains === undefined ? '' : '.*'
  const after = prefix === undefined && contains === undefined ? '' : '.*'
  return { regex: `${isCaseless ? '(?i)' : ''}${before}${escaped(text)}${after}` }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
