/** One stream to one center. Dead once it ended; a new one is made then. */
import type { MeshError } from '../../contracts/errors.ts'
import { AdsCall } from '../ads-call.ts'
import type { CenterAdapterConfig } from './config.ts'
import { decodeResponse, deltaPath, encodeRequest, type DeltaRequest, type DeltaResponse } from './wire/delta.ts'

export interface StreamEvents {
  /** Throws RangeError for what makes no sense: it is refused then. */
  onResponse(response: DeltaResponse): void
  /** Once, not after `close()`. */
  onEnd(problem: MeshError): void
}

export class CenterStream {
  private readonly call: AdsCall
  private readonly events: StreamEvents

  constructor(config: CenterAdapterConfig, at: CenterAdapterConfig['servers'][number], events: StreamEvents) {
    this.events = events
    this.call = new AdsCall(
      { role: 'center', at, path: deltaPath, tls: config.tls(), token: config.token() },
      { onMessage: (bytes) => this.take(bytes), onEnd: (problem) => events.onEnd(problem) },
    )
  }

  get server(): string {
    return this.call.server
  }

  send(request: Partial<DeltaRequest> & Pick<DeltaRequest, 'typeUrl'>): void {
    this.call.send(encodeRequest(request))
  }

  close(): void {
    this.call.close()
  }

  private take(bytes: Buffer): void {
    let response: DeltaResponse | undefined
    try {
      response = decodeResponse(bytes)
      this.events.onResponse(response)
      this.send({ typeUrl: response.typeUrl, nonce: response.nonce })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      if (response === undefined) return this.call.giveUp(error.message)
      this.send({ typeUrl: response.typeUrl, nonce: response.nonce, error: error.message })
    }
  }
}
