/** The pages by their names, as in the address. */
import type { View } from './html.ts'
import { Certificates } from './page-certificates.ts'
import { Drills } from './page-drills.ts'
import { EventsPage } from './page-events.ts'
import { Explain } from './page-explain.ts'
import { GraphPage } from './page-graph.ts'
import { Hosts } from './page-hosts.ts'
import { Overview } from './page-overview.ts'
import { Rollouts } from './page-rollouts.ts'
import { Rules } from './page-rules.ts'
import { ServicesPage } from './page-services.ts'
import type { PageProps } from './shapes.ts'

export const pages: Readonly<Record<string, (props: PageProps) => View>> = {
  overview: Overview,
  graph: GraphPage,
  services: ServicesPage,
  hosts: Hosts,
  rules: Rules,
  rollouts: Rollouts,
  explain: Explain,
  events: EventsPage,
  certificates: Certificates,
  drills: Drills,
}
