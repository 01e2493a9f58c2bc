import type { GoodToken } from './issuer.ts'

/** Bounds of one virtual host: tokens, and their characters. The one that was not used for longest falls out. */
const maxTokens = 8192
const maxCharacters = 8 * 1024 * 1024

/** Tokens whose signature was found good, by their text. */
export class TokenCache {
  /** In the order of their last use. */
  private readonly tokens = new Map<string, GoodToken>()
  private characters = 0

  get size(): number {
    return this.tokens.size
  }

  /** `now`: epoch ms; a token is good between its times only. */
  find(text: string, now: number): GoodToken | undefined {
    const known = this.tokens.get(text)
    if (known === undefined) return undefined
    if (now >= known.expires || now < known.notBefore) {
      this.remove(text)
      return undefined
    }
    // behind all others
    this.tokens.delete(text)
    this.tokens.set(text, known)
    return known
  }

  add(text: string, token: GoodToken): void {
    this.remove(text)
    this.tokens.set(text, token)
    this.characters += text.length
    while (this.tokens.size > maxTokens || this.characters > maxCharacters)
      this.remove(this.tokens.keys().next().value!)
  }

  private remove(text: string): void {
    if (this.tokens.delete(text)) this.characters -= text.length
  }
}
