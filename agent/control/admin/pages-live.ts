/**
 * Pages that show live traffic, and end connections: what a user of the host does is nobody else's business, so they
 * are for root and the agent's own user.
 */
import { MeshError } from '../../../contracts/errors.ts'
import { connectionCells, connectionHeading } from '../../../contracts/connection-table.ts'
import type { ConnectionRow, ConnectionsAnswer, TapAnswer } from '../../../contracts/live-view.ts'
import type { UserFilterDump } from '../../../contracts/user-filter-spec.ts'
import type { ClusterDump, WorkerQuestion } from '../../../contracts/control-link.ts'
import { callerFigures, callerTable } from './callers.ts'
import { filterRows, filterTable } from './filters.ts'
import { collect, type CollectView } from './collect.ts'
import { columns, either, jsonReply, type AdminPage } from './http.ts'
import { readCloseOrder, readConnectionFilter, readTapFilter } from './live-filters.ts'
import { trafficByService } from './traffic-by-service.ts'
import { workerAnswerMs } from './worker-answer.ts'

export function livePages(context: CollectView): AdminPage[] {
  const { control } = context
  const ask = async <T>(question: WorkerQuestion): Promise<{ answers: T[]; problems: string[] }> => {
    const { answers, problems } = await control.core.publisher.ask(question, workerAnswerMs)
    return { answers: answers.map(({ body }) => body as T), problems }
  }
  const connectionsOf = (answers: readonly ConnectionsAnswer[]): { connections: ConnectionRow[]; total: number } => ({
    connections: answers.flatMap(({ connections }) => connections).toSorted((a, b) => b.ageMs - a.ageMs),
    total: answers.reduce((sum, { total }) => sum + total, 0),
  })
  return [
    {
      path: '/traffic',
      method: 'GET',
      help: 'requests, failures and durations by service, as counters; what `hostmesh top` shows',
      answer: async () => {
        const { generations = [], reports = [] } = context.watchdog()?.state() ?? {}
        const { host } = control.config
        const figures = trafficByService(await collect(context))
        return jsonReply({
          ...figures,
          host: host.name,
          generation: control.deps.generation,
          generations: generations.length,
          workers: control.core.publisher.states().length,
          restarts: reports.length,
          registries: control.deps.adapters.map((adapter) => ({
            name: adapter.name,
            connected: adapter.status().connected,
          })),
        })
      },
    },
    {
      path: '/filters',
      method: 'GET',
      // what a filter throws may tell of requests
      isOwnersOnly: true,
      help: 'filters of users: in how many workers each is on, off, loading or failed, and why',
      answer: async (request) => {
        const { answers, problems } = await ask<UserFilterDump[]>({ kind: 'filters' })
        const filters = filterRows(answers.flat())
        return either(request, { filters, problems }, () => columns(filterTable(filters)))
      },
    },
    {
      path: '/callers',
      method: 'GET',
      isOwnersOnly: true,
      help: 'callers that were told apart: requests in hand, refusals, those held back, waits for a turn',
      answer: async (request) => {
        const { answers } = await ask<ClusterDump[]>({ kind: 'clusters' })
        const callers = callerFigures(await collect(context), answers.flat())
        return either(request, { callers }, () => columns(callerTable(callers)))
      },
    },
    {
      path: '/tap',
      method: 'GET',
      isOwnersOnly: true,
      help: '?id=NAME and filters: requests that ended since the last question with this id; `hostmesh tap` asks',
      answer: async ({ query }) => {
        const id = query.get('id') ?? ''
        if (!/^[\w-]{1,64}$/.test(id)) throw new MeshError('E_ADMIN_REQUEST', 'id: 1 to 64 letters, digits, _ or -')
        const { answers, problems } = await ask<TapAnswer>({ kind: 'tap', id, filter: readTapFilter(query) })
        return jsonReply({
          requests: answers.flatMap(({ requests }) => requests).toSorted((a, b) => a.at - b.at),
          skipped: answers.reduce((sum, { skipped }) => sum + skipped, 0),
          problems: [...problems, ...answers.flatMap(({ refused }) => (refused === undefined ? [] : [refused]))],
        })
      },
    },
    {
      path: '/connections',
      method: 'GET',
      isOwnersOnly: true,
      help: 'live connections of callers; ?listener=, ?protocol=, ?peer=ADDRESS[:PORT]',
      answer: async (request) => {
        const filter = readConnectionFilter(request.query)
        const { answers, problems } = await ask<ConnectionsAnswer>({ kind: 'connections', filter })
        const { connections, total } = connectionsOf(answers)
        return either(request, { connections, total, problems }, () => connectionText(connections, total, problems))
      },
    },
    {
      path: '/connections/close',
      method: 'POST',
      help: '{"ids": […], "listener", "protocol", "peer", "how": "end"|"cut"}: ends those that match; end = behind what is in flight',
      answer: async ({ body }) => {
        const { filter, how } = readCloseOrder(body)
        const { answers, problems } = await ask<ConnectionsAnswer>({ kind: 'close-connections', filter, how })
        const closed = connectionsOf(answers)
        if (closed.total > 0)
          control.deps.log.warn({ ...filter, how, connections: closed.total }, 'connections were ended by an operator')
        return jsonReply({ ...closed, problems })
      },
    },
  ]
}

function connectionText(rows: readonly ConnectionRow[], total: number, problems: readonly string[]): string {
  return [columns([connectionHeading, ...rows.map(connectionCells)]), `${rows.length} of ${total}`, ...problems].join(
    '\n',
  )
}
