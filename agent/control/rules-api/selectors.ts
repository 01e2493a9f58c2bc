/** `labelSelector` and `fieldSelector` of lists and watches. */
import { ApiError } from './api-error.ts'
import type { RuleObject } from './rule-object.ts'

export type Selector = (object: RuleObject) => boolean

const label = String.raw`[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,251})?`
const equality = new RegExp(`^(${label})\\s*(==|=|!=)\\s*([A-Za-z0-9._-]{0,63})$`)
const setTerm = new RegExp(`^(${label})\\s+(in|notin)\\s*\\(([^()]*)\\)$`)
const existence = new RegExp(`^(!?)\\s*(${label})$`)
const maxLength = 4096

/** Throws ApiError 400 for what cannot be read. */
export function readSelectors(query: URLSearchParams): Selector {
  const tests = [
    ...termsOf(query.get('labelSelector')).map(labelTest),
    ...termsOf(query.get('fieldSelector')).map(fieldTest),
  ]
  return (object) => tests.every((test) => test(object))
}

/** Split at commas outside of parentheses. */
function termsOf(text: string | null): string[] {
  if (text === null || text === '') return []
  if (text.length > maxLength) throw new ApiError(400, `a selector of ${text.length} characters, allowed ${maxLength}`)
  return text.split(/,(?![^(]*\))/).map((term) => term.trim())
}

function labelTest(term: string): Selector {
  const equal = equality.exec(term)
  if (equal !== null) {
    const [, name, operator, value] = equal
    return ({ metadata: { labels } }) => (labels?.[name!] === value) === (operator !== '!=')
  }
  const set = setTerm.exec(term)
  if (set !== null) {
    const [, name, operator, list] = set
    const values = new Set(list!.split(',').map((value) => value.trim()))
    return ({ metadata: { labels } }) => {
      const found = labels?.[name!]
      return (found !== undefined && values.has(found)) === (operator === 'in')
    }
  }
  const exists = existence.exec(term)
  if (exists === null)
    throw new ApiError(400, `labelSelector: found "${term}", allowed a=b, a!=b, a in (b,c), a notin (b,c), a, !a`)
  return ({ metadata: { labels } }) => Object.hasOwn(labels ?? {}, exists[2]!) === (exists[1] === '')
}

function fieldTest(term: string): Selector {
  const match = /^metadata\.(name|namespace)(==|=|!=)([A-Za-z0-9._-]*)$/.exec(term)
  if (match === null)
    throw new ApiError(400, `fieldSelector: found "${term}", allowed metadata.name=… and metadata.namespace=…`)
  const [, field, operator, value] = match
  return ({ metadata }) => (metadata[field as 'name' | 'namespace'] === value) === (operator !== '!=')
}
