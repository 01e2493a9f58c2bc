/**
 * Passwords as a file of htpasswd has them, a `user:hash` in each line: `{SHA}` (htpasswd -s), or scrypt in the form
 * `$scrypt$ln=15,r=8,p=1$SALT$HASH`, base64 without `=`. Scrypt is counted in threads beside the loop.
 */
import { createHash, scrypt, timingSafeEqual } from 'node:crypto'

const shaWord = /^\{SHA\}([A-Za-z0-9+/]{27}=)$/
const scryptWord = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{8,64})\$([A-Za-z0-9+/]{22,86})$/
/** What one question may cost: 2^17 x 8 is 128 MiB and a third of a second. */
const maxLn = 17
const maxUsers = 100_000

export type Hash =
  | { readonly kind: 'sha'; readonly bytes: Buffer }
  | {
      readonly kind: 'scrypt'
      readonly salt: Buffer
      readonly bytes: Buffer
      readonly options: { readonly N: number; readonly r: number; readonly p: number; readonly maxmem: number }
    }

/** By user. Throws which line is wrong, without the hash. */
export function parseHtpasswd(text: string): ReadonlyMap<string, Hash> {
  const users = new Map<string, Hash>()
  for (const [index, given] of text.split('\n').entries()) {
    const line = given.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const hash = colon < 1 ? undefined : hashOf(line.slice(colon + 1))
    if (hash === undefined)
      throw new Error(`line ${index + 1}: allowed user:{SHA}… (htpasswd -s) and user:$scrypt$ln=…,r=…,p=…$salt$hash`)
    users.set(line.slice(0, colon), hash)
    if (users.size > maxUsers) throw new Error(`more than ${maxUsers} users`)
  }
  return users
}

function hashOf(word: string): Hash | undefined {
  const sha = shaWord.exec(word)
  if (sha !== null) return { kind: 'sha', bytes: Buffer.from(sha[1]!, 'base64') }
  const found = scryptWord.exec(word)
  if (found === null) return undefined
  const [ln, r, p] = [Number(found[1]), Number(found[2]), Number(found[3])]
  if (ln < 1 || ln > maxLn || r < 1 || r > 16 || p < 1 || p > 4) return undefined
  const options = { N: 2 ** ln, r, p, maxmem: 256 * 2 ** ln * r }
  return { kind: 'scrypt', salt: Buffer.from(found[4]!, 'base64'), bytes: Buffer.from(found[5]!, 'base64'), options }
}

/** In the same time for every password. */
export async function isPassword(hash: Hash, password: string): Promise<boolean> {
  if (hash.kind === 'sha') return timingSafeEqual(createHash('sha1').update(password, 'utf8').digest(), hash.bytes)
  const { bytes, options, salt } = hash
  const made = await new Promise<Buffer>((resolve, reject) =>
    scrypt(password, salt, bytes.length, options, (error, key) => (error === null ? resolve(key) : reject(error))),
  )
  return timingSafeEqual(made, bytes)
}
