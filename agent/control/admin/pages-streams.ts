/** Pages about requests in flight, for root and the agent's own user, as those about connections are. */
import { streamCells, streamHeading } from '../../../contracts/streams-table.ts'
import type { StreamRow, StreamsAnswer } from '../../../contracts/live-view.ts'
import type { WorkerQuestion } from '../../../contracts/control-link.ts'
import type { PageView } from './context.ts'
import { columns, either, jsonReply, type AdminPage } from './http.ts'
import { readStreamFilter, readStreamOrder } from './live-filters.ts'
import { workerAnswerMs } from './worker-answer.ts'

interface Found {
  readonly streams: StreamRow[]
  readonly total: number
  readonly problems: readonly string[]
}

export function streamPages({ control }: PageView<'control'>): AdminPage[] {
  const ask = async (question: WorkerQuestion): Promise<Found> => {
    const { answers, problems } = await control.core.publisher.ask(question, workerAnswerMs)
    const bodies = answers.map(({ body }) => body as StreamsAnswer)
    return {
      streams: bodies.flatMap(({ streams }) => streams).toSorted((a, b) => b.ageMs - a.ageMs),
      total: bodies.reduce((sum, { total }) => sum + total, 0),
      problems,
    }
  }
  return [
    {
      path: '/streams',
      method: 'GET',
      isOwnersOnly: true,
      help: 'requests in flight, the oldest first; ?listener=, ?service=, ?peer=ADDRESS[:PORT], ?leastMs=',
      answer: async (request) => {
        const found = await ask({ kind: 'streams', filter: readStreamFilter(request.query) })
        return either(request, found, () => streamText(found))
      },
    },
    {
      path: '/streams/close',
      method: 'POST',
      help: '{"ids": […], "listener", "service", "peer", "leastMs"}: ends those that match; their connections stay',
      answer: async ({ body }) => {
        const filter = readStreamOrder(body)
        const ended = await ask({ kind: 'close-streams', filter })
        if (ended.total > 0)
          control.deps.log.warn({ ...filter, streams: ended.total }, 'streams were ended by an operator')
        return jsonReply(ended)
      },
    },
  ]
}

function streamText({ problems, streams, total }: Found): string {
  return [columns([streamHeading, ...streams.map(streamCells)]), `${streams.length} of ${total}`, ...problems].join(
    '\n',
  )
}
