/**
 * Control with a registry in memory, so that the moment in which it hears of a change is known.
 *
 * Usage: node control-main.js CONFIG SERVICES FIRST_PORT SECOND_PORT. For each number N on standard input it makes the Nth change and answers with a line: when the
 * registry said so, in nanoseconds (monotonic, comparable between processes).
 */
import { createInterface } from 'node:readline'
import { checkConfig } from '../../agent/control/config/check.ts'
import { systemClock } from '../../agent/control/clock.ts'
import { Control } from '../../agent/control/control.ts'
import { ControlMetrics } from '../../agent/control/observe.ts'
import { RuleStore } from '../../agent/control/rules/rule-store.ts'
import { entrySet } from '../../agent/control/rules/service-entry.ts'
import type { EndpointSet } from '../../contracts/endpoint.ts'
import type { EndpointListener, RegistryAdapter } from '../../contracts/registry-adapter.ts'
// Loaded for its weight only: a real control has it too.
import '../../registry-adapters/nacos/index.ts'
import { changedService, endpointsOf, isSecondAfter, keyOf, nameOf } from '../many-services.ts'

const [configFile = '', ...numbers] = process.argv.slice(2)
const [services = 0, firstPort = 0, secondPort = 0] = numbers.map(Number)
const listeners = new Map<string, EndpointListener>()
const indexes = new Map(Array.from({ length: services }, (_value, index) => [nameOf(index), index]))

function setOf(index: number, port: number, version: number): EndpointSet {
  const endpoints = endpointsOf(index, port)
  return { service: keyOf(index), version, endpoints, protectThreshold: 0, registry: 'memory', confirmedAt: Date.now() }
}

const adapter: RegistryAdapter = {
  name: 'memory',
  type: 'memory',
  start: () => undefined,
  subscribe: ({ name }, listener) => {
    listeners.set(name, listener)
    const index = indexes.get(name)
    if (index !== undefined) setImmediate(() => listener.onEndpoints(setOf(index, firstPort, 1)))
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

const checked = checkConfig(configFile)
if (checked.config === undefined) throw new Error(JSON.stringify(checked.problems))
const quiet = { debug: () => undefined, info: () => undefined, warn: console.error, error: console.error }
const control = new Control({
  config: checked.config,
  applications: checked.applications,
  problems: checked.problems,
  generation: 1,
  adapters: [adapter],
  rules: new RuleStore(checked.config.serviceDefaults),
  entrySet,
  resolve: () => Promise.resolve([]),
  probe: () => Promise.resolve(),
  uidOf: () => undefined,
  clock: systemClock,
  random: Math.random,
  log: quiet,
  metrics: new ControlMetrics(),
  check: () => checked,
})
await control.start()
control.setLeading(true)

for await (const line of createInterface(process.stdin)) {
  const nth = Number(line)
  const index = changedService(nth, services)
  const set = setOf(index, isSecondAfter(nth, services) ? secondPort : firstPort, nth + 2)
  const heardAt = process.hrtime.bigint()
  listeners.get(nameOf(index))?.onEndpoints(set)
  console.log(String(heardAt))
}
