/** What a translation makes: a message in the words of Envoy's API, and what of the rules could not be said in them. */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'

export interface Translation {
  readonly message: Plain
  /** In plain words, each once: `peak-ewma: least-request is used`. */
  readonly leftOut: readonly string[]
}

/** Collects what is left out. */
export class LeftOut {
  private readonly words = new Set<string>()

  add(words: string): undefined {
    this.words.add(words)
  }

  list(): readonly string[] {
    return [...this.words]
  }
}

/** Left out of a message where it is undefined; absent fields must be absent. */
export function given(fields: Plain): Plain {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** Of 0..1 as Envoy has it. */
export function fraction(share: number): Plain {
  return { numerator: Math.round(share * 1_000_000), denominator: 'MILLION' }
}
