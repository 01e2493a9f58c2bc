/** Does a request to a service arrive: what the agent would do with it, whether its instances answer, one real try. */
import type { PortRow } from '../../contracts/port-row.ts'
import { Agent, request } from 'node:http'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import type { ClusterDump, ExplainAnswer } from '../../contracts/control-link.ts'
import { describeError } from '../../contracts/errors.ts'
import { headers } from '../../contracts/words.ts'
import { type AdminClient, adminJson } from '../admin-client.ts'
import { dial, inParallel } from './dial.ts'
import type { Facts, Pages } from './facts.ts'
import type { Finding } from './finding.ts'

const dialTimeoutMs = 1500
const callTimeoutMs = 2500
/** Instances that are dialled. */
const mostDialled = 16
/** Spoken in requests, so that one can be sent: a GET, which changes nothing by its meaning. */
const requestProtocols: ReadonlySet<string> = new Set(['http', 'http2', 'grpc', 'websocket'])

/** @param service as an application would name it. @param path of the one real request. */
export async function requestFindings(
  service: string,
  path: string,
  config: AgentConfig,
  pages: Pages,
  { admin, command }: Facts,
): Promise<Finding[]> {
  if (!/^[\x21-\x7e]{1,512}$/.test(service) || !/^\/[\x21-\x7e]*$/.test(path))
    return [
      {
        link: 'request',
        state: 'bad',
        says: `"${service}" with path "${path}": no name of a service, or no path`,
        proof: 'the words of this command',
        next: 'give a name such as orders, and a path that begins with /',
      },
    ]
  const row = pages.ports.find(({ direction, service: key }) => direction === 'outbound' && isNamed(key, service))
  const hasRequests = row === undefined || requestProtocols.has(row.protocol)
  const { http } = config.outbound
  const target = http === 'off' ? (row === undefined ? undefined : { host: row.address, port: row.port }) : http
  if (target === undefined)
    return [
      {
        link: 'request',
        state: 'bad',
        says: `${service} has no localhost port, and the shared one is off`,
        proof: '/ports, and outbound.http of the configuration',
        next: 'name it under outbound.services',
      },
    ]
  // the call comes first: for a name that nobody used yet it has the registries asked
  const call = hasRequests ? [await oneCall(service, path, target, command)] : []
  return [...(await instanceFindings(service, row, hasRequests, path, admin!, command)), ...call]
}

/** `public/DEFAULT_GROUP@@orders` is meant by `orders`. */
function isNamed(key: string, service: string): boolean {
  return key === service || key.endsWith(`@@${service}`)
}

async function instanceFindings(
  service: string,
  row: PortRow | undefined,
  hasRequests: boolean,
  path: string,
  admin: AdminClient,
  command: Facts['command'],
): Promise<Finding[]> {
  const next = hasRequests ? command(`explain ${service}${path}`) : command('ports')
  let found: ExplainAnswer['destinations'][number]['candidates']
  try {
    if (hasRequests) {
      const query = new URLSearchParams({ method: 'GET', host: service, path, format: 'json' })
      const answer = (await adminJson(admin, `/explain?${query.toString()}`)) as ExplainAnswer
      if (!answer.steps.some(({ matched }) => matched))
        return [{ link: 'request', state: 'bad', says: `${service}: ${answer.outcome}`, proof: '/explain', next }]
      found = answer.destinations.flatMap(({ candidates }) => candidates)
      // a rule may answer by itself
      if (answer.destinations.length === 0)
        return [{ link: 'request', state: 'good', says: `${service}${path}: ${answer.outcome}` }]
    } else {
      const { clusters } = (await adminJson(admin, '/clusters?format=hostmesh')) as {
        clusters: readonly ClusterDump[]
      }
      found = clusters
        .filter((one) => one.service === row!.service)
        .flatMap(({ endpoints }) => endpoints)
        .map(({ endpoint, state }) => ({ endpoint, usable: state === 'healthy', reason: state }))
    }
  } catch (error) {
    return [
      {
        link: 'request',
        state: 'unknown',
        says: `${service}: it cannot be asked where a request would go`,
        proof: describeError(error),
        next: `sudo ${command('doctor')} ${service}`,
      },
    ]
  }
  const usable = found.filter((one) => one.usable)
  if (usable.length === 0) {
    const why = found.slice(0, 5).map(({ endpoint, reason }) => `${endpoint}: ${reason}`)
    return [
      {
        link: 'request',
        state: 'bad',
        says: `${service}: no instance may be used`,
        proof: why.join('\n') || 'there is none',
        next: `${next}; hostmesh doctor on the host of the instance`,
      },
    ]
  }
  const dialled = await inParallel(usable.slice(0, mostDialled), mostDialled, async ({ endpoint }) => {
    const [, host, port] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(endpoint) ?? []
    return { endpoint, problem: host === undefined ? 'no address' : await dial(host, Number(port), dialTimeoutMs) }
  })
  const dead = dialled.filter(({ problem }) => problem !== undefined)
  if (dead.length === 0)
    return [
      {
        link: 'request',
        state: 'good',
        says: `${service}: ${dialled.length} of ${found.length} instances were dialled, all answer`,
      },
    ]
  return [
    {
      link: 'request',
      state: dead.length === dialled.length ? 'bad' : 'warning',
      says: `${service}: ${dead.length} of ${dialled.length} instances do not take connections from here`,
      proof: dead.map(({ endpoint, problem }) => `${endpoint}: ${problem}`).join('\n'),
      next: 'hostmesh doctor on those hosts; a firewall between',
    },
  ]
}

function oneCall(
  service: string,
  path: string,
  target: { host: string; port: number },
  command: Facts['command'],
): Promise<Finding> {
  const what = `GET ${path} of ${service} at ${target.host}:${target.port}`
  return new Promise((resolve) => {
    const startedAt = performance.now()
    const bad = (says: string, next: string): void =>
      resolve({ link: 'request', state: 'bad', says, proof: what, next })
    const agent = new Agent({ keepAlive: false })
    const asked = request(
      { agent, ...target, path, headers: { host: service, 'x-mesh-service': service }, timeout: callTimeoutMs },
      (reply) => {
        reply.destroy()
        const ms = Math.round(performance.now() - startedAt)
        const code = reply.headers[headers.error]
        const tier = String(reply.headers[headers.tier] ?? '-')
        if (code !== undefined)
          bad(
            `${service}: the mesh answered by itself: ${String(code)}`,
            `${command(`explain ${service}${path}`)}; docs/errors.md`,
          )
        else
          resolve({
            link: 'request',
            state: 'good',
            says: `${service} answered ${reply.statusCode} in ${ms} ms, tier ${tier}`,
            proof: what,
          })
      },
    )
    asked.on('timeout', () => asked.destroy(new Error(`no answer after ${callTimeoutMs} ms`)))
    asked.on('error', (error) => bad(`${service}: ${error.message}`, command(`tap ${service}`)))
    // all that is heard of a server that changes the protocol
    asked.on('close', () => bad(`${service}: the connection ended without an answer`, command(`tap ${service}`)))
    asked.end()
  })
}
