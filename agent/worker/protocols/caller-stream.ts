import type { CallerAccount } from '../callers/caller-account.ts'
import type { Caller, CallerRequest } from './caller.ts'

/** The connection under a stream, as far as who calls is concerned. */
export interface CallingConnection extends Caller {
  readonly account: CallerAccount
}

/** A stream of a caller, attached to one connection after another. */
export abstract class CallerStream<Connection extends CallingConnection> {
  abstract readonly request: CallerRequest
  protected connection!: Connection

  attach(connection: Connection): void {
    this.connection = connection
    this.request.caller = connection
  }

  get account(): CallerAccount {
    return this.connection.account
  }
  get sourceAddress(): string {
    return this.connection.sourceAddress
  }
}
