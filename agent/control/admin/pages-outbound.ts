/** Pages about services that this host was told of: a localhost port for each, without a word in `agent.yaml`. */
import { parseServiceName, serviceKey } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { stateFiles } from '../../../contracts/run-directory.ts'
import { formatProblem } from '../config/problem.ts'
import { protocolProblem } from '../config/protocol-problem.ts'
import { outboundServiceOf } from '../config/resolve.ts'
import { toldServiceSchema } from '../config/schema.ts'
import { validate } from '../config/validate.ts'
import { outboundListener } from '../host/listeners/listeners.ts'
import { maxToldServices, type ToldService } from '../host/listeners/told-services.ts'
import type { PageView } from './context.ts'
import { jsonReply, textReply, type AdminPage, type AdminReply, type AdminRequest } from './http.ts'

/** Longest wait for workers to bind a port, ms. */
const triedMs = 2000
const triedLookMs = 20

export function outboundPages(context: PageView<'control'>): AdminPage[] {
  const { control } = context
  return [
    {
      path: '/outbound',
      method: 'GET',
      help: 'services that this host was told of, with their localhost ports',
      answer: () => jsonReply({ services: control.host.told.all().map((one) => view(context, one)) }),
    },
    {
      path: '/outbound',
      method: 'POST',
      help: '{"service", "protocol", "port", "ttl"}: a localhost port for a service, kept over restarts; the keys of outbound.services, and how long',
      answer: (request) => tell(context, request),
    },
    {
      path: '/outbound',
      method: 'DELETE',
      help: '?service=: takes its port away',
      answer: async ({ query }) => {
        const service = parseServiceName(query.get('service') ?? '', control.config.serviceDefaults)
        if (service === undefined) throw new MeshError('E_ADMIN_REQUEST', 'service is missing, or no name of one')
        const key = serviceKey(service)
        if (!control.host.told.remove(key)) return textReply(`${key}: this host was not told of it`, 404)
        await control.state.flush(stateFiles.toldServices)
        return jsonReply({ service: key })
      },
    },
  ]
}

async function tell(context: PageView<'control'>, { body }: AdminRequest): Promise<AdminReply> {
  const { control } = context
  const { config, deps, host } = control
  const parsed = validate(toldServiceSchema, {
    file: 'body',
    value: body,
    positionOf: () => ({ line: 0, column: 0 }),
  })
  if (parsed.value === undefined) throw new MeshError('E_ADMIN_REQUEST', parsed.problems.map(formatProblem).join('; '))
  const { ttl, ...wanted } = parsed.value
  const unknown = protocolProblem(wanted.protocol, config.rpcProtocols)
  if (unknown !== undefined) throw new MeshError('E_ADMIN_REQUEST', `protocol: ${unknown.message}`)
  const service = outboundServiceOf(wanted, config.serviceDefaults, config.outbound.halfClosed)
  const key = serviceKey(service.service)
  if (config.outbound.services.some((one) => serviceKey(one.service) === key))
    return textReply(`${key}: has a port by outbound.services of ${config.file}; change it there`, 409)
  // a pinned port takes one that was allocated away from whoever has it: at a start, not while it is called
  const owner = host.listeners
    .portRows()
    .find((row) => row.port === service.port && row.listener !== outboundListener(key))
  if (service.port !== undefined && owner !== undefined)
    return textReply(`port ${service.port}: already the port of ${owner.service}`, 409)
  const before = host.told.all().find((one) => serviceKey(one.service) === key)
  const told = { ...service, until: ttl === undefined ? undefined : deps.clock.wall() + ttl }
  if (!host.told.put(told))
    return textReply(`this host was told of ${maxToldServices} services, which is the bound`, 409)
  await tried(context, outboundListener(key))
  const row = view(context, told)
  if (row.problem === undefined) {
    // the next control reads it there, whenever this one dies
    await control.state.flush(stateFiles.toldServices)
    return jsonReply(row, 201)
  }
  // a port that cannot be had is no reason to lose the one that was there
  if (before === undefined) host.told.remove(key)
  else host.told.put(before)
  return textReply(row.problem, 409)
}

/** Another process may have the port, which only who binds it hears. */
async function tried({ control }: PageView<'control'>, listener: string): Promise<void> {
  const { clock } = control.deps
  const until = clock.monotonic() + triedMs
  while (!control.host.readiness.isTried(listener) && clock.monotonic() < until)
    await new Promise<void>((resolve) => {
      clock.after(triedLookMs, resolve)
    })
}

function view({ control }: PageView<'control'>, { service, protocol, until }: ToldService) {
  const key = serviceKey(service)
  const listener = outboundListener(key)
  const row = control.host.listeners.portRows().find((one) => one.listener === listener)
  const problem = row?.problem ?? control.host.readiness.listenerProblem(listener)
  return {
    service: key,
    protocol,
    address: control.config.outbound.address,
    port: row?.port ?? 0,
    until: until === undefined ? null : new Date(until).toISOString(),
    ...(problem === undefined ? {} : { problem }),
  }
}
