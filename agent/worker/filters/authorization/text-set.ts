/** Istio's lists of values: exact text, `prefix*`, `*suffix`, `*` for what is there, and templates of paths. */
import { pathTemplate } from './path-template.ts'

export interface TextSet {
  has(text: string): boolean
}

/** `isFolded`: values are compared in lower case; what is asked for must be in lower case then. */
export function textSet(values: readonly string[], isFolded = false, hasTemplates = false): TextSet {
  const exact = new Set<string>()
  const prefixes: string[] = []
  const suffixes: string[] = []
  const templates: TextSet[] = []
  let isAnything = false
  for (const written of values) {
    const value = isFolded ? written.toLowerCase() : written
    if (value === '*') isAnything = true
    else if (hasTemplates && value.includes('{')) templates.push(pathTemplate(value))
    else if (value.endsWith('*')) prefixes.push(value.slice(0, -1))
    else if (value.startsWith('*')) suffixes.push(value.slice(1))
    else exact.add(value)
  }
  return {
    has(text) {
      if (isAnything && text !== '') return true
      if (exact.has(text)) return true
      for (const prefix of prefixes) if (text.startsWith(prefix)) return true
      for (const suffix of suffixes) if (text.endsWith(suffix)) return true
      for (const template of templates) if (template.has(text)) return true
      return false
    },
  }
}

/** What every text begins with that a value takes; empty where that is anything. Undefined for an exact value. */
export function prefixOf(value: string): string | undefined {
  if (value.startsWith('*')) return ''
  const template = value.indexOf('{')
  if (template >= 0) return value.slice(0, template)
  return value.endsWith('*') ? value.slice(0, -1) : undefined
}
