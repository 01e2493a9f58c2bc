/** What filters of users may write into heads. */

/** Frame the message, belong to one connection, or are the mesh's own word. */
const ours =
  /^(?::.*|host|connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|content-length|upgrade|expect|x-mesh-.*)$/
const nameWord = /^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$/
const valueWord = /^(?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\t\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/
const maxValue = 16_384

/** The name in lower case. Throws what is wrong with it. */
export function fieldName(name: unknown): string {
  const lower = typeof name === 'string' ? name.toLowerCase() : ''
  if (!nameWord.test(lower)) throw new TypeError(`${JSON.stringify(String(name).slice(0, 60))} is no name of a field`)
  if (ours.test(lower)) throw new TypeError(`field ${lower} is not a filter's to change`)
  return lower
}

/** Throws what is wrong with it. */
export function fieldValue(name: string, value: unknown): string {
  if (typeof value !== 'string' || value.length > maxValue || !valueWord.test(value))
    throw new TypeError(`the value of field ${name} cannot stand in a head`)
  return value
}
