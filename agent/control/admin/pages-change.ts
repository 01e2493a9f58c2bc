/** Pages that change something: POST and DELETE only. */
import type { WorkerQuestion } from '../../../contracts/control-link.ts'
import { parseServiceName } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { stateFiles } from '../../../contracts/run-directory.ts'
import { resolveApplication } from '../config/resolve.ts'
import { formatProblem } from '../config/problem.ts'
import { protocolProblem } from '../config/protocol-problem.ts'
import { applicationFileSchema } from '../config/schema.ts'
import { validate } from '../config/validate.ts'
import { applicationId, applicationOf } from '../host/applications/application.ts'
import type { PageView } from './context.ts'
import { mask } from './mask.ts'
import { jsonReply, textReply, type AdminPage, type AdminReply, type AdminRequest } from './http.ts'
import { workerAnswerMs } from './worker-answer.ts'

const levels = ['trace', 'debug', 'info', 'warn', 'error']

export function changePages(
  context: PageView<'control' | 'stats' | 'drainSwitch' | 'drain' | 'logLevel' | 'quit'>,
): AdminPage[] {
  const { control, stats, drainSwitch } = context
  const tellWorkers = async (question: WorkerQuestion): Promise<{ workers: number; problems: string[] }> => {
    const { answers, problems } = await control.core.publisher.ask(question, workerAnswerMs)
    return { workers: answers.length, problems }
  }
  return [
    {
      path: '/logging',
      method: 'GET',
      help: 'the log level',
      answer: () => textReply(`level: ${context.logLevel.get()}`),
    },
    {
      path: '/logging',
      method: 'POST',
      help: '?level=trace|debug|info|warn|error, of control and workers',
      answer: async ({ query }) => {
        const level = query.get('level')
        if (level === null || !levels.includes(level))
          return textReply(
            `level: found ${level === null ? 'nothing' : `"${level}"`}, allowed ${levels.join(', ')}`,
            400,
          )
        context.logLevel.set(level)
        return jsonReply({ level, ...(await tellWorkers({ kind: 'log-level', level })) })
      },
    },
    {
      path: '/reset_counters',
      method: 'POST',
      help: 'counters of workers back to zero',
      answer: async () => {
        const told = await tellWorkers({ kind: 'reset-counters' })
        stats.reset()
        // the next control begins with what stands there
        control.state.changed(stateFiles.counters)
        await control.state.flush(stateFiles.counters)
        return jsonReply(told)
      },
    },
    {
      path: '/drain_listeners',
      method: 'POST',
      help: 'stop accepting and end connections by their own means, /ready says no; ?inboundonly',
      answer: async ({ query }) => {
        return jsonReply(await context.drain.begin(query.has('inboundonly')))
      },
    },
    {
      path: '/undrain_listeners',
      method: 'POST',
      help: 'takes /drain_listeners back: listen again',
      answer: async () => jsonReply(await context.drain.end()),
    },
    {
      path: '/reopen_logs',
      method: 'POST',
      help: 'open log files again, after rotation',
      answer: async () => jsonReply(await tellWorkers({ kind: 'reopen-logs' })),
    },
    {
      path: '/healthcheck/fail',
      method: 'POST',
      help: '/ready says no until /healthcheck/ok; traffic goes on',
      answer: () => {
        drainSwitch.isFailed = true
        return textReply('OK')
      },
    },
    {
      path: '/healthcheck/ok',
      method: 'POST',
      help: 'takes /healthcheck/fail back',
      answer: () => {
        drainSwitch.isFailed = false
        return textReply('OK')
      },
    },
    {
      path: '/reload',
      method: 'POST',
      help: 'read agent.yaml, services.d and rules.d again',
      answer: () => {
        control.reload()
        return jsonReply({ problems: control.problems.map(formatProblem), restartNeeded: control.restartNeeded })
      },
    },
    {
      path: '/quitquitquit',
      method: 'POST',
      help: 'end this control; workers go on with their last snapshot',
      answer: () => {
        control.deps.clock.after(50, context.quit)
        return textReply('OK')
      },
    },
    {
      path: '/applications',
      method: 'GET',
      help: 'the local applications',
      answer: () => jsonReply(mask({ applications: control.host.registrar.views() })),
    },
    {
      path: '/applications',
      method: 'POST',
      help: 'registers a local application; the body has the keys of a services.d file',
      answer: (request) => register(context, request),
    },
    {
      path: '/applications',
      method: 'DELETE',
      help: 'takes an application back: ?id=, or ?service=&port=[&address=]',
      answer: async ({ query }) => {
        const id = query.get('id') ?? idOf(context, query)
        const application = control.host.registrar.get(id)
        if (application === undefined) return textReply(`${id}: no such application`, 404)
        if (application.source === 'file')
          return textReply(`${id}: comes from a file in services.d; remove the file`, 409)
        await control.host.applications.remove(id)
        await control.state.flush(stateFiles.registrations)
        return jsonReply({ id })
      },
    },
  ]
}

async function register({ control }: PageView<'control'>, { body }: AdminRequest): Promise<AdminReply> {
  const parsed = validate(applicationFileSchema, {
    file: 'body',
    value: body,
    positionOf: () => ({ line: 0, column: 0 }),
  })
  if (parsed.value === undefined) throw new MeshError('E_ADMIN_REQUEST', parsed.problems.map(formatProblem).join('; '))
  const unknown = protocolProblem(parsed.value.protocol, control.config.rpcProtocols)
  if (unknown !== undefined) throw new MeshError('E_ADMIN_REQUEST', `protocol: ${unknown.message}`)
  const config = resolveApplication('', parsed.value, control.config.serviceDefaults)
  const application = applicationOf(config, 'api')
  const present = control.host.registrar.get(application.id)
  if (present?.source === 'file')
    throw new MeshError(
      'E_ADMIN_REQUEST',
      `${application.id}: already comes from a file in services.d; change the file`,
    )
  const refused = control.host.applications.problemOf(application)
  if (refused !== undefined) throw new MeshError('E_ADMIN_REQUEST', `${application.id}: ${refused}`)
  const inboundPort = control.host.applications.put(application)
  const row = control.host.listeners.portRows().find((one) => one.listener === `inbound ${application.id}`)
  if (inboundPort === undefined) {
    void control.host.applications.remove(application.id)
    return textReply(row?.problem ?? `${application.id}: no inbound port`, 409)
  }
  // the next control reads it there, whenever this one dies
  if (present === undefined) await control.state.flush(stateFiles.registrations)
  return jsonReply({ id: application.id, inboundPort, address: control.config.host.address }, 201)
}

function idOf({ control }: PageView<'control'>, query: URLSearchParams): string {
  const service = parseServiceName(query.get('service') ?? '', control.config.serviceDefaults)
  const port = Number(query.get('port'))
  if (service === undefined || !Number.isInteger(port))
    throw new MeshError('E_ADMIN_REQUEST', 'id, or service and port, are missing')
  return applicationId(service, query.get('address') ?? '127.0.0.1', port)
}
