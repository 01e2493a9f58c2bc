/**
 * Control with one service under ever new rules and endpoints.
 *
 * Usage: node changes-main.js CONFIG SERVICE PORT... For each number N on standard input it makes the Nth change and
 * answers with a line: even ones change rules, odd ones endpoints. Endpoints are of two versions in turn, and each
 * version keeps at least one of its own.
 */
import { createInterface } from 'node:readline'
import type { Endpoint } from '../../contracts/endpoint.ts'
import { benchEndpoint } from '../mesh-snapshot.ts'
import { startMemoryControl } from './memory-control.ts'

const [configFile = '', service = '', ...ports] = process.argv.slice(2)

const all = ports.map((port, index): Endpoint => {
  const version = index % 2 === 0 ? 'v1' : 'v2'
  return { ...benchEndpoint('127.0.0.1', Number(port)), version, metadata: { version } }
})

/** All, then without the first pair, all again, without the second pair, and so on. */
function endpointsAt(turn: number): readonly Endpoint[] {
  if (turn % 2 === 0) return all
  const gone = (turn >> 1) % (all.length >> 1)
  return all.filter((_endpoint, index) => index >> 1 !== gone)
}

/** Other weights, routes, timeouts, headers, balancers and limits each time. */
function rulesAt(turn: number): string {
  const weight = 10 + (turn % 9) * 10
  const others = Array.from(
    { length: turn % 5 },
    (_value, index) => `
  - match: [{ uri: { prefix: /other-${index} } }]
    redirect: { uri: /x }`,
  ).join('')
  const balancer = ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM'][turn % 3]!
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${service} }
spec:
  hosts: [${service}]
  http:${others}
  - name: main
    timeout: ${5 + (turn % 3)}s
    headers: { request: { set: { x-turn: "${turn}" } } }
    route:
    - { destination: { host: ${service}, subset: v1 }, weight: ${weight} }
    - { destination: { host: ${service}, subset: v2 }, weight: ${100 - weight} }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${service} }
spec:
  host: ${service}
  trafficPolicy: { loadBalancer: { simple: ${balancer} } }
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]
---
apiVersion: hostmesh.io/v1
kind: MeshPolicy
metadata: { name: ${service} }
spec:
  hosts: [${service}]
  rateLimits: [{ name: wide, maxTokens: ${10_000_000 + turn}, fillInterval: 1s }]
`
}

const { control, say } = await startMemoryControl(configFile, (name) => (name === service ? all : undefined))
const giveRules = (turn: number): void =>
  control.core.replaceRules('bench', [{ name: 'rules.yaml', text: rulesAt(turn) }])
giveRules(0)

for await (const line of createInterface(process.stdin)) {
  const nth = Number(line)
  if (nth % 2 === 0) giveRules(nth >> 1)
  else say(service, endpointsAt((nth >> 1) + 1))
  console.log(line)
}
