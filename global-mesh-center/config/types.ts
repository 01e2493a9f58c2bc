/** The configuration of a center as its parts see it: defaults filled in, paths absolute. */
import type { AgentConfig } from '../../agent/control/config/types.ts'
import type { CaSection } from '../ca/section.ts'
import type { HostsConfig } from '../hosts/section.ts'
import type { RateLimitsSection } from '../rate-limits/section.ts'
import type { EtcdStoreSection, NacosStoreSection, RulesApiSection, XdsSection } from './schema.ts'

export type StoreConfig = { readonly type: 'files'; readonly directory: string } | EtcdStoreSection | NacosStoreSection

export type RulesApiConfig = RulesApiSection
export type XdsConfig = XdsSection

export interface CenterConfig extends AgentConfig {
  readonly store: StoreConfig
  /** undefined = off. */
  readonly rulesApi: RulesApiConfig | undefined
  /** undefined = this center is no certificate authority. */
  readonly ca: CaSection | undefined
  readonly xds: XdsConfig | undefined
  readonly hosts: HostsConfig
  /** undefined = this center counts for nobody. */
  readonly rateLimits: RateLimitsSection | undefined
}
