/** An application and a steady caller that speak gRPC and know nothing of the mesh. */
import { Client, Metadata, Server, ServerCredentials, credentials } from '@grpc/grpc-js'
import type { ClientDuplexStream, ServerDuplexStream, ServiceError } from '@grpc/grpc-js'
import { headers } from '../../contracts/words.ts'
import type { DemoApplication } from './applications.ts'
import type { Caller, CallerOptions } from './callers.ts'
import { eventually } from './first-answer.ts'
import { PacedCalls, callTimeoutMs } from './paced-calls.ts'

const same = (bytes: Buffer): Buffer => bytes
const bytes = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
} as const
const quote = { path: '/demo.Prices/Quote', requestStream: false, responseStream: false, ...bytes } as const
const follow = { path: '/demo.Prices/Follow', requestStream: true, responseStream: true, ...bytes } as const

/** Answers every call with its version; says back every message of a call that goes on. */
export async function startGrpcApplication(
  service: string,
  version: string,
  address: string,
): Promise<DemoApplication> {
  const server = new Server()
  server.addService(
    { quote, follow },
    {
      quote: (_call: unknown, reply: (error: null, bytes: Buffer) => void) => reply(null, Buffer.from(version)),
      follow: (call: ServerDuplexStream<Buffer, Buffer>) => {
        call.on('error', () => {})
        call.on('data', (message: Buffer) => call.write(message))
        call.on('end', () => call.end())
      },
    },
  )
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${address}:0`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  const close = (): Promise<void> => {
    server.forceShutdown()
    return Promise.resolve()
  }
  return { service, version, protocol: 'grpc', address, port, close }
}

/**
 * A channel whose calls are never repeated, which the library would do with some by itself. It dials again soon: the
 * other side is on this machine.
 */
function channel(address: string, port: number): Client {
  const options = { 'grpc.enable_retries': 0, 'grpc.initial_reconnect_backoff_ms': 100 }
  return new Client(`${address}:${port}`, credentials.createInsecure(), options)
}

function ask(
  client: Client,
  done: (error: ServiceError | null, answer?: Buffer) => void,
): ReturnType<Client['makeUnaryRequest']> {
  const deadline = Date.now() + callTimeoutMs
  // Else a connection that breaks before its first frame fails all calls until the next one, though none was sent.
  const metadata = new Metadata({ waitForReady: true })
  return client.makeUnaryRequest(quote.path, same, same, Buffer.from('?'), metadata, { deadline }, done)
}

/** Waits for the first good answer; E_UPSTREAM_TIMEOUT when there is none after 20 s. */
export async function grpcAnswers(address: string, port: number): Promise<void> {
  const client = channel(address, port)
  const attempt = (): Promise<boolean> => new Promise((resolve) => ask(client, (error) => resolve(error === null)))
  await eventually(`${address}:${port}`, attempt).finally(() => client.close())
}

const sayEveryMs = 50

/** One call that goes on: numbered messages, each of which must come back once and in order. */
export class LongCall {
  heard = 0
  private said = 0
  private problem = ''
  private readonly client: Client
  private readonly call: ClientDuplexStream<Buffer, Buffer>
  private readonly timer: NodeJS.Timeout

  constructor(address: string, port: number) {
    this.client = channel(address, port)
    this.call = this.client.makeBidiStreamRequest(follow.path, same, same)
    this.call.on('data', (message: Buffer) => {
      const number = String(this.heard++)
      if (message.toString() !== number) this.problem ||= `heard ${message.toString()} instead of ${number}`
    })
    this.call.on('error', (error: ServiceError) => (this.problem ||= error.details))
    this.timer = setInterval(() => this.call.write(Buffer.from(String(this.said++))), sayEveryMs)
  }

  /** Ends it in order; answers what went wrong, '' = nothing. */
  async end(): Promise<string> {
    clearInterval(this.timer)
    this.call.end()
    if (this.problem === '') {
      await new Promise((resolve) => {
        this.call.once('status', resolve)
        setTimeout(resolve, callTimeoutMs).unref()
      })
    }
    this.client.close()
    return this.problem === '' && this.heard !== this.said ? `${this.said - this.heard} messages lost` : this.problem
  }
}

/** One channel with a call per tick. */
export function startGrpcCaller(options: CallerOptions): Caller {
  const { address, port } = options
  const client = channel(address, port)
  const calls = new PacedCalls(options, (settle) => {
    let tier = 'none'
    const call = ask(client, (error, answer) => {
      if (error === null) settle({ isGood: true, tier, version: String(answer) })
      else settle({ isGood: false, reason: reasonOf(error) })
    })
    call.on('metadata', (initial: Metadata) => {
      tier = String(initial.get(headers.tier)[0] ?? 'none')
    })
  })
  return {
    from: options.from,
    to: options.to,
    how: `port ${port}, gRPC`,
    tally: calls.tally,
    takePeak: () => calls.takePeak(),
    stop: () => {
      calls.stop()
      client.close()
    },
  }
}

/** In the words of the other callers where the connection was lost; else in the library's. */
function reasonOf({ details }: ServiceError): string {
  if (details === 'Connection dropped') return 'connection closed'
  return /\bE[A-Z]+$/.exec(details)?.[0] ?? details
}
