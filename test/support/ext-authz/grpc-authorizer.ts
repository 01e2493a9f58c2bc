/**
 * An external authorizer over a gRPC server of somebody else's, with messages that their own library reads and writes.
 */
import { join } from 'node:path'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { sendUnaryData, ServerUnaryCall, ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

export interface ToldRequest {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly scheme: string
  readonly size: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly rawBody?: Buffer
}

export interface ToldCheck {
  readonly source: {
    readonly principal: string
    readonly address: { readonly socketAddress: { readonly address: string } }
  }
  readonly destination: { readonly address: { readonly socketAddress: { readonly portValue: number } } }
  readonly request: { readonly http: ToldRequest; readonly time: { readonly seconds: string } }
}

/** A CheckResponse as the library takes it; an Error becomes the status of the call; undefined = it says nothing. */
export type Reply = object | Error | undefined

export class GrpcAuthorizer {
  readonly checks: ToldCheck[] = []
  answer: (check: ToldCheck) => Reply = () => ({ status: { code: 0 }, okResponse: {} })
  readonly port: number
  private readonly server: Server

  static async start(port = 0, address = '127.0.0.1'): Promise<GrpcAuthorizer> {
    const server = new Server()
    const definition = loadSync(join(import.meta.dirname, 'authorization.proto'), { longs: String, defaults: true })
    let told: GrpcAuthorizer | undefined
    server.addService(definition['envoy.service.auth.v3.Authorization'] as ServiceDefinition, {
      Check: (call: ServerUnaryCall<{ attributes: ToldCheck }, object>, done: sendUnaryData<object>) => {
        told!.checks.push(call.request.attributes)
        const reply = told!.answer(call.request.attributes)
        if (reply instanceof Error) done({ code: 13, details: reply.message })
        else if (reply !== undefined) done(null, reply)
      },
    })
    const bound = await new Promise<number>((resolve, reject) =>
      server.bindAsync(`${address}:${port}`, ServerCredentials.createInsecure(), (error, found) =>
        error === null ? resolve(found) : reject(error),
      ),
    )
    return (told = new GrpcAuthorizer(server, bound))
  }

  private constructor(server: Server, port: number) {
    this.server = server
    this.port = port
  }

  stop(): void {
    this.server.forceShutdown()
  }
}

/** A field of a verdict. */
export function field(key: string, value: string, more: object = {}): object {
  return { header: { key, value }, ...more }
}
