/**
 * The one table of registry kinds, and what the rest of control asks of a section of `registries` without knowing its
 * kind.
 */
import * as z from 'zod'
import type { AdapterDeps, ConfigSource, RegistryAdapter, RuleFeed } from '../../../contracts/registry-adapter.ts'
import { centerKind, centerSection } from './center.ts'
import { consulKind, consulSection } from './consul.ts'
import { dnsKind, dnsSection } from './dns.ts'
import { etcdKind, etcdSection } from './etcd.ts'
import { fileKind, fileSection } from './file.ts'
import { kubernetesKind, kubernetesSection } from './kubernetes.ts'
import { nacosKind, nacosSection } from './nacos.ts'
import type { EndpointSettings, RegistryKind } from './registry-kind.ts'
import { xdsKind, xdsSection } from './xds.ts'
import { zookeeperKind, zookeeperSection } from './zookeeper.ts'

export const registrySection = z.discriminatedUnion('type', [
  nacosSection,
  zookeeperSection,
  consulSection,
  kubernetesSection,
  etcdSection,
  dnsSection,
  fileSection,
  centerSection,
  xdsSection,
])

/** One entry of `registries` in `agent.yaml`. */
export type RegistryFile = z.output<typeof registrySection>

const kinds: { readonly [Type in RegistryFile['type']]: RegistryKind<Extract<RegistryFile, { type: Type }>> } = {
  nacos: nacosKind,
  zookeeper: zookeeperKind,
  consul: consulKind,
  kubernetes: kubernetesKind,
  etcd: etcdKind,
  dns: dnsKind,
  file: fileKind,
  center: centerKind,
  xds: xdsKind,
}

export function kindOf(section: RegistryFile): RegistryKind<RegistryFile> {
  // a section carries the word of its own kind, which the type of a table look-up cannot say
  return kinds[section.type] as unknown as RegistryKind<RegistryFile>
}

/**
 * The adapters in order of precedence, not started. Rejects with E_CONFIG_UNREADABLE for a secret or certificate that
 * cannot be read.
 */
export async function createAdapters(
  config: {
    readonly registries: readonly RegistryFile[]
    readonly endpoints: EndpointSettings
    readonly host: { readonly name: string; readonly address: string }
  },
  deps: AdapterDeps,
  isOwnPort: (address: string, port: number) => boolean,
): Promise<RegistryAdapter[]> {
  const { name: hostName, address: hostAddress } = config.host
  const settings = { endpoints: config.endpoints, hostName, hostAddress, isOwnPort }
  const made: RegistryAdapter[] = []
  for (const section of config.registries) made.push(await kindOf(section).create(section, settings, deps))
  return made
}

/** Of the rules of a registry. */
export function ruleSourceName(type: string, name: string): string {
  return `${type}:${name}`
}

/** The configuration stores of registries that hold rules, each as a source of rules by name. */
export function ruleStores(
  sections: readonly RegistryFile[],
  adapters: readonly RegistryAdapter[],
): { readonly name: string; readonly source: ConfigSource; readonly group: string }[] {
  return sections.flatMap((section) => {
    const group = kindOf(section).rulesGroup(section)
    const source = adapters.find((one) => one.name === section.name)?.config
    return group === undefined || source === undefined
      ? []
      : [{ name: ruleSourceName(section.type, section.name), source, group }]
  })
}

/** The registries in which rules lie as resources, each as a source of rules by name. */
export function ruleFeeds(adapters: readonly RegistryAdapter[]): { readonly name: string; readonly feed: RuleFeed }[] {
  return adapters.flatMap(({ type, name, rules }) =>
    rules === undefined ? [] : [{ name: ruleSourceName(type, name), feed: rules }],
  )
}
