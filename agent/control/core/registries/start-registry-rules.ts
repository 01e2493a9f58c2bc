/**
 * Connects the rules in registries with the core: of configuration stores the documents of the services in use, of
 * those that hold rules as resources all.
 */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { ConfigSource, RuleFeed } from '../../../../contracts/registry-adapter.ts'
import type { RuleDocument } from '../rules/types.ts'
import { splitKey } from '../snapshot/compiler.ts'
import { inboundNamespace } from '../../../../contracts/inbound-key.ts'
import { RegistryRules } from './registry-rules.ts'

/** What rules are for, and who takes them. */
export interface RuleTaker {
  readonly compiler: { neededKeys(): Iterable<ServiceKey> }
  /** Services of names that are used under a wildcard: a rule of their own may be stored for them. */
  keysUnderWildcards(): Iterable<ServiceKey>
  onNeeded(listener: () => void): () => void
  replaceRules(source: string, documents: readonly RuleDocument[]): void
}

export interface RuleStoreOfRegistry {
  /** Name of the source of rules. */
  readonly name: string
  readonly source: ConfigSource
  /** Group of the documents. */
  readonly group: string
}

export interface RuleFeedOfRegistry {
  /** Name of the source of rules. */
  readonly name: string
  readonly feed: RuleFeed
}

export function startRegistryRules(
  taker: RuleTaker,
  stores: readonly RuleStoreOfRegistry[],
  feeds: readonly RuleFeedOfRegistry[] = [],
): { close(): void } {
  const sources = stores.map(
    ({ name, source, group }) =>
      new RegistryRules({ source, group, onDocuments: (documents) => taker.replaceRules(name, documents) }),
  )
  const fed = feeds.map(({ name, feed }) => feed.watch((collections) => taker.replaceRules(name, collections)))
  const isAsking = sources.length > 0 || feeds.some(({ feed }) => feed.want !== undefined)
  let soon: NodeJS.Immediate | undefined
  const wantAll = (): void => {
    soon = undefined
    const keys = new Set([...taker.compiler.neededKeys(), ...taker.keysUnderWildcards()])
    const services = [...keys].filter((key) => !key.startsWith(inboundNamespace))
    const names = services.map(splitKey)
    for (const source of sources) source.want(names)
    for (const { feed } of feeds) feed.want?.(names)
  }
  // many services become needed in one turn, at the start above all: one look for all of them
  const wantSoon = (): void => {
    if (isAsking) soon ??= setImmediate(wantAll)
  }
  wantSoon()
  const stop = taker.onNeeded(wantSoon)
  return {
    close: () => {
      stop()
      if (soon !== undefined) clearImmediate(soon)
      for (const source of sources) source.close()
      for (const subscription of fed) subscription.unsubscribe()
    },
  }
}
