/**
 * How messages of Envoy's API are written down here: field name to `NUMBER KIND`, in the words of the .proto files. A
 * message has those fields that we say or understand, no others.
 *
 * | kind | value in TypeScript |
 * |---|---|
 * | `string`, `bool`, `double`, `uint32` (also 64 bits up to 2^53) | string, boolean, number |
 * | `bytes` | Buffer |
 * | `u32value`, `u64value`, `boolvalue`, `doublevalue` | the value inside the wrapper |
 * | `duration` | milliseconds |
 * | `struct` | plain JSON |
 * | `any` | `{ '@type': message, ...fields }`; decoded: of an unknown message `{ '@type', value }` with its bytes |
 * | the name of an enum | the name of its value; decoded: of an unknown value its number |
 * | the name of a message | an object |
 * | `[KIND]`, `map KIND` (from texts) | an array, an object |
 */
export type MessageForm = Readonly<Record<string, string>>

export interface MessageForms {
  /** Full name in the .proto files, without those before it in `of`. */
  readonly of: string
  readonly messages: Readonly<Record<string, MessageForm>>
  /** Values by name; the full name of an enum is not needed. */
  readonly enums?: Readonly<Record<string, Readonly<Record<string, number>>>>
}

/** What stands for a message: field names to values. */
export type Plain = { readonly [name: string]: unknown }
