/** Which content types are meant: names of which parts may be `*`, without case; parameters are not looked at. */
import { namePattern } from '../../../../../contracts/name-pattern.ts'

/** Characters of a type without its parameters; that of a longer one is not looked for. The longest known have 80. */
const maxType = 256

export function contentTypes(names: readonly string[]): (field: string) => boolean {
  const patterns = names.map((name) => namePattern(name.toLowerCase()))
  return (field) => {
    const end = field.indexOf(';')
    const type = (end < 0 ? field : field.slice(0, end)).trim()
    if (type.length > maxType || /[,\s]/.test(type)) return false
    const lower = type.toLowerCase()
    return patterns.some((isLike) => isLike(lower))
  }
}
