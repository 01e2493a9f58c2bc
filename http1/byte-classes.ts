/** Which bytes may stand where, as tables with one entry per byte: 1 = allowed. */

function table(isAllowed: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (isAllowed(byte) ? 1 : 0))
}

const tokenMarks = "!#$%&'*+-.^_`|~"
const hostMarks = "-._~!$&'()*+;=%:[]"

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39
const isAlphanumeric = (byte: number) =>
  isDigit(byte) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)

/** tchar (RFC 9110 section 5.6.2): methods and field names. */
export const tokenBytes: Uint8Array = table(
  (byte) => isAlphanumeric(byte) || tokenMarks.includes(String.fromCharCode(byte)),
)

/** Field values (RFC 9110 section 5.5): HTAB, SP, visible ASCII, obs-text. Reason phrases too. */
export const valueBytes: Uint8Array = table((byte) => byte === 0x09 || (byte >= 0x20 && byte !== 0x7f))

/** Request targets (R3): visible ASCII without `#`. */
export const targetBytes: Uint8Array = table((byte) => byte >= 0x21 && byte <= 0x7e && byte !== 0x23)

/** The same without `?`, which ends the path. */
export const pathBytes: Uint8Array = table((byte) => targetBytes[byte] === 1 && byte !== 0x3f)

/** Host and port (R5): RFC 3986 host characters and `:`, without the comma that would make a list. */
export const hostBytes: Uint8Array = table(
  (byte) => isAlphanumeric(byte) || hostMarks.includes(String.fromCharCode(byte)),
)

export const alphanumericBytes: Uint8Array = table(isAlphanumeric)

/** Inside a quoted string (RFC 9110 section 5.6.4), without `"` and `\`. */
export const quotedBytes: Uint8Array = table((byte) => valueBytes[byte] === 1 && byte !== 0x22 && byte !== 0x5c)

/** Value of a hexadecimal digit; 255 for any other byte. */
export const hexValues: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (isDigit(byte)) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : 255
})
