import { Exchange } from './exchange.ts'
import type { HttpConnection } from './http-connection.ts'
import type { Road } from './road.ts'

const maxKept = 1024

/** Exchanges for reuse, like `AttemptStore`. An idle connection holds none. */
export class ExchangeStore {
  private readonly kept: Exchange[] = []

  take(road: Road, connection: HttpConnection): Exchange {
    const exchange = this.kept.pop() ?? new Exchange(road)
    exchange.attach(connection)
    return exchange
  }

  give(exchange: Exchange): void {
    if (this.kept.length < maxKept) this.kept.push(exchange)
    else exchange.retire()
  }

  clear(): void {
    for (const exchange of this.kept) exchange.retire()
    this.kept.length = 0
  }
}
