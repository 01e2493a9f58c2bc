/** Asks a rate-limit service with messages that a library of somebody else writes and reads. */
import { join } from 'node:path'
import { Client, credentials, Metadata, type ServiceDefinition, type ServiceError } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

export const rlsDefinition = loadSync(join(import.meta.dirname, 'rls.proto'), {
  longs: Number,
  enums: String,
  defaults: true,
})['envoy.service.ratelimit.v3.RateLimitService'] as ServiceDefinition

export interface SaidStatus {
  readonly code: string
  readonly currentLimit: { readonly requestsPerUnit: number; readonly unit: string; readonly name: string } | null
  readonly limitRemaining: number
  readonly durationUntilReset: { readonly seconds: number; readonly nanos: number } | null
}

export interface Said {
  readonly overallCode: string
  readonly statuses: readonly SaidStatus[]
  /** As the head of the answer says. */
  readonly hosts: string | undefined
}

export type Entries = readonly (readonly [key: string, value: string])[]

export class RlsClient {
  readonly port: number
  private readonly client: Client

  constructor(port: number, address = '127.0.0.1') {
    this.port = port
    this.client = new Client(`${address}:${port}`, credentials.createInsecure())
  }

  /** Rejects with the error of gRPC. */
  ask(
    domain: string,
    descriptors: readonly Entries[],
    more: { readonly hitsAddend?: number; readonly host?: string; readonly token?: string } = {},
  ): Promise<Said> {
    const { path, requestSerialize, responseDeserialize } = rlsDefinition['ShouldRateLimit']!
    const metadata = new Metadata()
    if (more.host !== undefined) metadata.set('hostmesh-host', more.host)
    if (more.token !== undefined) metadata.set('authorization', `Bearer ${more.token}`)
    const question = {
      domain,
      descriptors: descriptors.map((entries) => ({ entries: entries.map(([key, value]) => ({ key, value })) })),
      hitsAddend: more.hitsAddend ?? 0,
    }
    return new Promise((resolve, reject) => {
      let hosts: string | undefined
      const call = this.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        question,
        metadata,
        (error: ServiceError | null, answer?: object) => {
          if (error === null) resolve({ ...(answer as Omit<Said, 'hosts'>), hosts })
          else reject(error)
        },
      )
      call.on('metadata', (head: Metadata) => (hosts = head.get('hostmesh-ratelimit-hosts')[0]?.toString()))
    })
  }

  close(): void {
    this.client.close()
  }
}
