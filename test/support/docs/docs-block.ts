/** Examples of a page of the documentation. */
import { readFileSync } from 'node:fs'

/** The first block that has these words. */
export function docsBlock(page: string, words: string): string {
  const document = readFileSync(new URL(`../../../docs/${page}`, import.meta.url), 'utf8')
  const block = [...document.matchAll(/\n```\w+\n([\s\S]*?)\n```\n/g)].find(([, text]) => text!.includes(words))
  if (block === undefined) throw new Error(`docs/${page} has no block with ${words}`)
  return block[1]!
}
