/** What the role of a configuration decides by itself. The directories are those of the units in `systemd/`. */
import type { HostPort } from './scalars.ts'

export type Role = 'agent' | 'center'

export interface RoleDefaults {
  readonly runDir: string
  readonly stateDir: string
  /** Beside the configuration. */
  readonly servicesDir: string
  readonly outboundHttp: HostPort | 'off'
  /** Serves hosts: takes what their watchdogs relay, and shows the read-only API. */
  readonly servesHosts: boolean
  /** The command that starts it. */
  readonly command: 'watchdog' | 'center'
}

export const roles: Readonly<Record<Role, RoleDefaults>> = {
  agent: {
    runDir: '/run/hostmesh',
    stateDir: '/var/lib/hostmesh',
    servicesDir: 'services.d',
    outboundHttp: { host: '127.0.0.1', port: 15_001 },
    servesHosts: false,
    command: 'watchdog',
  },
  center: {
    runDir: '/run/hostmesh-center',
    stateDir: '/var/lib/hostmesh-center',
    servicesDir: 'center-services.d',
    outboundHttp: 'off',
    servesHosts: true,
    command: 'center',
  },
}
