/**
 * A small file with a secret that may change while we run: read again when it did, refused when others may read or
 * write it.
 */
import { readFileSync, statSync } from 'node:fs'

const defaultMaxBytes = 4096
/** The file is looked at once in this time, ms. */
const lookMs = 1000

export class SecretFile<T> {
  /** Why there is no value; undefined when there is one. */
  problem: string | undefined = 'not read yet'
  readonly path: string
  private readonly parse: (text: string) => T
  private readonly now: () => number
  private readonly maxBytes: number
  private value: T | undefined
  private lookedAt = Number.NEGATIVE_INFINITY
  private stamp = ''

  /** parse: throws what is wrong, without the secret. now: monotonic ms. */
  constructor(path: string, parse: (text: string) => T, now: () => number, maxBytes = defaultMaxBytes) {
    this.path = path
    this.parse = parse
    this.now = now
    this.maxBytes = maxBytes
  }

  /** The newest good value; a file that turned bad, or is gone, leaves none, because nobody knows why. */
  get(): T | undefined {
    const now = this.now()
    if (now - this.lookedAt < lookMs) return this.value
    this.lookedAt = now
    try {
      const { ctimeMs, ino, mode, mtimeMs, size } = statSync(this.path)
      const stamp = `${mtimeMs}:${ctimeMs}:${size}:${ino}`
      if (stamp === this.stamp) return this.value
      this.stamp = stamp
      this.value = undefined
      if (size > this.maxBytes) throw new Error(`${size} bytes, allowed ${this.maxBytes}`)
      if ((mode & 0o027) !== 0)
        throw new Error('others may read or write it; chmod 600, or 640 with a group of its own')
      this.value = this.parse(readFileSync(this.path, 'latin1'))
      this.problem = undefined
    } catch (error) {
      this.value = undefined
      this.stamp = ''
      const { code, message, syscall } = error as NodeJS.ErrnoException
      this.problem = `${this.path}: ${syscall === undefined ? message : code}`
    }
    return this.value
  }
}
