/** A rate-limit service of somebody else's, with messages that their own library reads and writes. */
import { Metadata, Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js'
import { rlsDefinition } from './rls-client.ts'

export interface AskedLimits {
  readonly domain: string
  readonly hitsAddend: number
  readonly descriptors: readonly { readonly entries: readonly { readonly key: string; readonly value: string }[] }[]
}

/** An answer as the library takes it; an Error becomes the status of the call; undefined = it says nothing. */
export type LimitReply = object | Error | undefined

export class RlsServer {
  readonly asked: AskedLimits[] = []
  readonly metadata: Metadata[] = []
  answer: (asked: AskedLimits) => LimitReply = () => ({ overallCode: 'OK' })
  /** Of the head of each answer; '' = it does not say. */
  hosts = ''
  readonly port: number
  private readonly server: Server

  static async start(port = 0, address = '127.0.0.1'): Promise<RlsServer> {
    const server = new Server()
    let told: RlsServer | undefined
    server.addService(rlsDefinition, {
      ShouldRateLimit: (call: ServerUnaryCall<AskedLimits, object>, done: sendUnaryData<object>) => {
        told!.asked.push(call.request)
        told!.metadata.push(call.metadata)
        const reply = told!.answer(call.request)
        if (reply instanceof Error) return done({ code: 13, details: reply.message })
        if (reply === undefined) return
        if (told!.hosts !== '') {
          const head = new Metadata()
          head.set('hostmesh-ratelimit-hosts', told!.hosts)
          call.sendMetadata(head)
        }
        done(null, reply)
      },
    })
    const bound = await new Promise<number>((resolve, reject) =>
      server.bindAsync(`${address}:${port}`, ServerCredentials.createInsecure(), (error, found) =>
        error === null ? resolve(found) : reject(error),
      ),
    )
    return (told = new RlsServer(server, bound))
  }

  private constructor(server: Server, port: number) {
    this.server = server
    this.port = port
  }

  stop(): void {
    this.server.forceShutdown()
  }
}
