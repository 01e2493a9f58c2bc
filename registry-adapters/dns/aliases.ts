/** What is said of a name, through the names that it stands for where an answer names the next one and no more. */
import type { DnsAnswer } from './dns-client.ts'
import type { Said } from './records.ts'

/** Names that lead to names; more is a circle, in which nothing is. */
const maxAliases = 8

export interface Followed<T> extends Said<T> {
  /** The last answer, which says it. */
  readonly answer: DnsAnswer
}

/** Rejects as `ask` does. */
export async function follow<T>(
  name: string,
  ask: (name: string) => Promise<DnsAnswer>,
  read: (answer: DnsAnswer, name: string) => Said<T>,
): Promise<Followed<T>> {
  let answer = await ask(name)
  let said = read(answer, name)
  let { ttlMs } = said
  for (let aliases = 0; said.alias !== undefined && aliases < maxAliases; aliases++) {
    const { alias } = said
    answer = await ask(alias)
    said = read(answer, alias)
    ttlMs = Math.min(ttlMs, said.ttlMs)
  }
  return { ...said, ttlMs, answer }
}
