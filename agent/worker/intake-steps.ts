/** What a connection goes through before its protocol has it. */
import type { IntakeStep } from './listen/arriving.ts'
import type { CallerIdentity } from './listen/caller-identity.ts'
import { CallerIntake } from './listen/caller-intake.ts'
import { GatewayIntake } from './listen/gateway-intake.ts'
import { ProxyIntake } from './listen/proxy-intake.ts'
import type { RelayAdmission } from './listen/relay-admission.ts'
import { RelayGate } from './listen/relay-gate.ts'
import { RelayHosts } from './listen/relay-hosts.ts'
import { RelayIntake } from './listen/relay-intake.ts'
import { RelayProofs } from './listen/relay-proofs.ts'
import { ServerNameIntake } from './listen/server-name-intake.ts'
import type { RefusalReplyDeps } from './listen/refusal-reply.ts'
import { inboundTls, relayTls, TlsIntake } from './listen/tls-intake.ts'
import { TunnelIntake } from './listen/tunnels/tunnel-intake.ts'
import type { StringCache } from '../../http1/string-cache.ts'
import type { MeshState } from './mesh/mesh-state.ts'
import type { ParkedNames } from './mesh/parked-names.ts'
import type { Tallies } from './observe/tallies.ts'
import type { Tls } from './transport/tls/open-tls.ts'
import type { WorkerOptions } from './worker-options.ts'

export interface IntakeStepsDeps extends Omit<RefusalReplyDeps, 'limits' | 'tier'> {
  readonly callers: CallerIdentity
  readonly log: WorkerOptions['log']
  readonly now: () => number
  readonly parked: ParkedNames
  readonly relays: RelayAdmission
  readonly state: MeshState
  readonly strings: StringCache
  readonly tallies: Tallies
  readonly tls: Tls
}

/** In the order in which they are gone through. */
export function intakeSteps(deps: IntakeStepsDeps): readonly IntakeStep[] {
  const { callers, clock, log, now, output, parked, relays, state, strings, tallies, tls, wheel } = deps
  const limits = () => state.limits
  const replies = { wheel, clock, limits, output, tier: () => state.node.tier }
  const secured = { ...replies, handshakes: tls.handshakes, counts: tls.counts }
  const specOf = (name: string) => state.listeners.get(name)
  const hosts = new RelayHosts({ tallies, log, now, specOf, trustDomain: () => tls.identities.trustDomain })
  return [
    new RelayGate(tallies),
    new TlsIntake(secured, relayTls),
    new ProxyIntake({ wheel, clock, limits, tallies }),
    hosts,
    new RelayProofs({ tallies, log, wallClock: Date.now, now }),
    new RelayIntake({ ...replies, tallies, parked, relays, service: (key) => state.service(key) }),
    new TlsIntake(secured, inboundTls),
    new GatewayIntake({
      wheel,
      clock,
      handshakes: tls.handshakes,
      serverAt: (listener, serverName) => state.gatewayServer(listener, serverName),
    }),
    new CallerIntake({ callers, clock, mesh: () => state.mesh }),
    new ServerNameIntake({
      wheel,
      clock,
      limits,
      tallies,
      asksServerName: (name) => state.names.host(name)?.asksServerName === true,
    }),
    new TunnelIntake({ ...replies, callers, parked, strings, tallies, find: (name) => state.names.findName(name) }),
    hosts,
  ]
}
