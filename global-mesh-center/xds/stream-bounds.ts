/** Bounds of one stream of discovery, whichever form it speaks. */

/** Names that one stream may subscribe to, of one type. */
export const maxNames = 20_000

/** Characters of a name, also of a node: the longest key of a service has 1,539, the name of its cluster some more. */
export const maxNameLength = 2048

/** A response is closed once it holds so many bytes, where it may be closed. */
export const maxResponseBytes = 1024 * 1024

/** What is wrong with these names; undefined = nothing. */
export function nameProblem(typeUrl: string, names: readonly string[]): string | undefined {
  const long = names.find((name) => name.length > maxNameLength)
  return long === undefined ? undefined : `a name of ${long.length} characters of ${typeUrl}, allowed ${maxNameLength}`
}

/** Throws RangeError for who says more than this of its name. */
export function checkNode(id: string): void {
  if (id.length > maxNameLength) throw new RangeError(`node.id: ${id.length} characters, allowed ${maxNameLength}`)
}
