/**
 * Control as a real agent has it, with a registry in memory, so that the moment in which it hears of a change is known.
 */
import { settleDown } from '../../agent/control/after-start.ts'
import { agentKind } from '../../agent/control/config/agent-kind.ts'
import { checkConfig } from '../../agent/control/config/check.ts'
import { Control } from '../../agent/control/control.ts'
import { ControlMetrics } from '../../agent/control/observe.ts'
import { RuleStore } from '../../agent/control/core/rules/rule-store.ts'
import { serviceKey } from '../../contracts/endpoint.ts'
import type { Endpoint } from '../../contracts/endpoint.ts'
import type { EndpointListener, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { loneControl } from '../../test/support/control/lone-control.ts'
// Loaded for its weight only: a real control has it too.
import '../../registry-adapters/nacos/index.ts'

export interface MemoryControl {
  readonly control: Control
  /** The registry says that these are the endpoints of a service now. Ignored while nobody needs it. */
  say(name: string, endpoints: readonly Endpoint[]): void
}

/** `first` is what the registry answers to a subscription; undefined = it knows no such service. */
export async function startMemoryControl(
  configFile: string,
  first: (name: string) => readonly Endpoint[] | undefined,
): Promise<MemoryControl> {
  const listeners = new Map<string, EndpointListener>()
  let version = 0
  const say = (name: string, endpoints: readonly Endpoint[]): void => {
    listeners.get(name)?.onEndpoints(
      {
        service: serviceKey({ namespace: 'public', group: 'DEFAULT_GROUP', name }),
        version: ++version,
        endpoints,
        protectThreshold: 0,
        registry: 'memory',
        confirmedAt: Date.now(),
      },
      false,
    )
  }
  const adapter: RegistryAdapter = {
    name: 'memory',
    type: 'memory',
    start: () => undefined,
    subscribe: ({ name }, listener) => {
      listeners.set(name, listener)
      const endpoints = first(name)
      if (endpoints !== undefined) setImmediate(() => say(name, endpoints))
      return { unsubscribe: () => void listeners.delete(name) }
    },
    register: () => {
      throw new Error('nothing is registered here')
    },
    listServices: () => Promise.resolve([]),
    config: undefined,
    status: () => ({
      name: 'memory',
      type: 'memory',
      connected: true,
      server: undefined,
      problem: undefined,
      subscriptions: listeners.size,
      registrations: 0,
      lastHeardAt: Date.now(),
    }),
    close: () => Promise.resolve(),
  }
  const checked = checkConfig(configFile, agentKind)
  if (checked.config === undefined) throw new Error(JSON.stringify(checked.problems))
  const control = new Control({
    ...loneControl,
    config: checked.config,
    applications: checked.applications,
    problems: checked.problems,
    generation: 1,
    adapters: [adapter],
    rules: new RuleStore(checked.config.serviceDefaults),
    random: Math.random,
    log: { debug: () => undefined, info: () => undefined, warn: console.error, error: console.error },
    metrics: new ControlMetrics(),
    check: () => checked,
  })
  await control.start()
  control.setLeading(true)
  settleDown(loneControl.clock)
  return { control, say }
}
