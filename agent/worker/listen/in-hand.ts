import type {
  CloseConnectionsQuestion,
  CloseStreamsQuestion,
  ConnectionsAnswer,
  ConnectionsQuestion,
  StreamsAnswer,
  StreamsQuestion,
} from '../../../contracts/live-view.ts'
import type { LiveSource } from './connection-facts.ts'
import { ConnectionRows } from './connection-rows.ts'
import { LiveStreams } from './live-streams.ts'

type Question = ConnectionsQuestion | CloseConnectionsQuestion | StreamsQuestion | CloseStreamsQuestion

/** What an operator asks about the connections and the requests that a worker has in hand. */
export class InHand {
  private readonly connections: ConnectionRows
  private readonly streams: LiveStreams

  constructor(source: LiveSource) {
    this.connections = new ConnectionRows(source)
    this.streams = new LiveStreams(source)
  }

  answer(question: Question): ConnectionsAnswer | StreamsAnswer {
    switch (question.kind) {
      case 'connections':
        return this.connections.list(question.filter)
      case 'close-connections':
        return this.connections.close(question.filter, question.how)
      case 'streams':
        return this.streams.list(question.filter)
      default:
        return this.streams.close(question.filter)
    }
  }

  /** Requests in flight, and the age of the oldest in ms. */
  figures(): { readonly open: number; readonly oldestMs: number } {
    return this.streams.figures()
  }
}
