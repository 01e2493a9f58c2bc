/** The one table of layouts, by the name in `agent.yaml`. */
import { InstanceLayout } from './instances.ts'
import { dubboDialect, InterfaceLayout, sofaDialect } from './interfaces.ts'
import type { Layout } from './layout.ts'

export const layoutNames = ['dubbo', 'dubbo-app', 'sofa', 'curator', 'plain'] as const
export type LayoutName = (typeof layoutNames)[number]

interface LayoutFacts {
  /** Where the framework puts its services. */
  readonly root: string
  create(root: string): Layout
}

export const layouts: Readonly<Record<LayoutName, LayoutFacts>> = {
  dubbo: { root: '/dubbo', create: (root) => new InterfaceLayout(root, dubboDialect) },
  'dubbo-app': { root: '/services', create: (root) => new InstanceLayout(root, 'dubbo-app') },
  sofa: { root: '/sofa-rpc', create: (root) => new InterfaceLayout(root, sofaDialect) },
  curator: { root: '/services', create: (root) => new InstanceLayout(root, 'curator') },
  plain: { root: '/services', create: (root) => new InstanceLayout(root, 'plain') },
}
