/** Fields of heads, and what rules and filters do to them. */

/**
 * Fields of a head in their order, names in lower case. Names and values were validated where they came in; how they
 * look on the wire is the codec's business.
 */
export type Fields = readonly (readonly [name: string, value: string])[]

/**
 * What happens to the fields of a forwarded head: some are left out, some are added. Never changed once made: a codec
 * keeps the bytes that it made of an object as long as the object lives.
 */
export interface HeaderEdits {
  /** Added behind what is there. */
  readonly fields: Fields
  /** Lower-case names of fields to leave out. */
  readonly drop: ReadonlySet<string>
}
