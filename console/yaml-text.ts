/** A rule as YAML that people edit: only plain data, in block style, every text quoted that could be read otherwise. */

const plainText = /^[A-Za-z/][A-Za-z0-9_./-]*$/
const otherwise = /^(?:y|n|yes|no|on|off|true|false|null|nan|inf)$/i

export function yamlText(value: unknown): string {
  return `${block(value, '').replace(/^\n/, '')}\n`
}

function block(value: unknown, indent: string): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return ' []'
    return value.map((one) => `\n${indent}-${item(one, `${indent}  `)}`).join('')
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, one]) => one !== undefined)
    if (entries.length === 0) return ' {}'
    return entries.map(([key, one]) => `\n${indent}${scalar(key)}:${block(one, `${indent}  `)}`).join('')
  }
  return ` ${scalar(value)}`
}

/** The first line of a mapping in a list stands behind its dash. */
function item(value: unknown, indent: string): string {
  const text = block(value, indent)
  return text.startsWith(`\n${indent}`) ? ` ${text.slice(indent.length + 1)}` : text
}

function scalar(value: unknown): string {
  if (typeof value === 'string') return plainText.test(value) && !otherwise.test(value) ? value : JSON.stringify(value)
  return value === undefined ? 'null' : JSON.stringify(value)
}
