/** Connects the rules in registries' configuration stores with control: every registry with a `rulesGroup` is one source of rules. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../../../contracts/registry-adapter.ts'
import type { Control } from '../../control.ts'
import { RegistryRules } from './registry-rules.ts'
import { kindOf } from '../../kinds/registries.ts'
import { splitKey } from '../snapshot/compiler.ts'
import { inboundNamespace } from '../../host/listeners/listeners.ts'

export function startRegistryRules(control: Control, registries: readonly RegistryAdapter[]): { close(): void } {
  const sources = control.config.registries.flatMap((registry) => {
    const group = kindOf(registry).rulesGroup(registry)
    if (group === undefined) return []
    const source = registries.find((one) => one.name === registry.name)?.config
    if (source === undefined) return []
    const onDocuments = (documents: Parameters<Control['replaceRules']>[1]): void =>
      control.replaceRules(`${registry.type}:${registry.name}`, documents)
    return [new RegistryRules({ source, group, onDocuments })]
  })
  let soon: NodeJS.Immediate | undefined
  const wantAll = (): void => {
    soon = undefined
    const services = [...control.compiler.neededKeys()].filter((key: ServiceKey) => !key.startsWith(inboundNamespace))
    for (const source of sources) source.want(services.map(splitKey))
  }
  // many services become needed in one turn, at the start above all: one look for all of them
  const wantSoon = (): void => {
    if (sources.length > 0) soon ??= setImmediate(wantAll)
  }
  wantSoon()
  const stop = control.onNeeded(wantSoon)
  return {
    close: () => {
      stop()
      if (soon !== undefined) clearImmediate(soon)
      for (const source of sources) source.close()
    },
  }
}
