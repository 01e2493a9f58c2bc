/** An application and a steady caller that speak gRPC and know nothing of the mesh. */
import { Client, Metadata, Server, ServerCredentials, credentials } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import { headers } from '../../contracts/words.ts'
import type { DemoApplication } from './applications.ts'
import type { Caller, CallerOptions } from './callers.ts'
import { eventually } from './first-answer.ts'
import { Tally } from './tally.ts'

const same = (bytes: Buffer): Buffer => bytes
const quote = {
  path: '/demo.Prices/Quote',
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
} as const

const callTimeoutMs = 5000
const defaultMaxInFlight = 64

/** Answers every call with its version. */
export async function startGrpcApplication(
  service: string,
  version: string,
  address: string,
): Promise<DemoApplication> {
  const server = new Server()
  server.addService(
    { quote },
    { quote: (_call: unknown, reply: (error: null, bytes: Buffer) => void) => reply(null, Buffer.from(version)) },
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

/** A channel whose calls are never repeated, which the library would do with some by itself. */
function channel(address: string, port: number): Client {
  return new Client(`${address}:${port}`, credentials.createInsecure(), { 'grpc.enable_retries': 0 })
}

function ask(
  client: Client,
  done: (error: ServiceError | null, answer?: Buffer) => void,
): ReturnType<Client['makeUnaryRequest']> {
  const deadline = Date.now() + callTimeoutMs
  return client.makeUnaryRequest(quote.path, same, same, Buffer.from('?'), new Metadata(), { deadline }, done)
}

/** Waits for the first good answer; E_UPSTREAM_TIMEOUT when there is none after 20 s. */
export async function grpcAnswers(address: string, port: number): Promise<void> {
  const client = channel(address, port)
  const attempt = (): Promise<boolean> => new Promise((resolve) => ask(client, (error) => resolve(error === null)))
  await eventually(`${address}:${port}`, attempt).finally(() => client.close())
}

/** One channel with a call per tick. */
export function startGrpcCaller(options: CallerOptions): Caller {
  const { address, port, now, rate, maxInFlight = defaultMaxInFlight } = options
  const tally = new Tally(now)
  const client = channel(address, port)
  let inFlight = 0
  let peak = 0
  const timer = setInterval(() => {
    if (inFlight >= maxInFlight) {
      tally.add({ isGood: false, tier: '', version: '', latencyMs: callTimeoutMs, reason: 'too many calls wait' })
      return
    }
    inFlight++
    peak = Math.max(peak, inFlight)
    const startedAt = now()
    let tier = 'none'
    const call = ask(client, (error, answer) => {
      inFlight--
      const latencyMs = now() - startedAt
      if (error === null) tally.add({ isGood: true, tier, version: String(answer), latencyMs, reason: '' })
      else tally.add({ isGood: false, tier: '', version: '', latencyMs, reason: reasonOf(error) })
    })
    call.on('metadata', (initial: Metadata) => {
      tier = String(initial.get(headers.tier)[0] ?? 'none')
    })
  }, 1000 / rate)
  return {
    from: options.from,
    to: options.to,
    how: `port ${port}, gRPC`,
    tally,
    takePeak: () => {
      const taken = peak
      peak = inFlight
      return taken
    },
    stop: () => {
      clearInterval(timer)
      client.close()
    },
  }
}

/** In the words of the other callers where the connection was lost; else in the library's. */
function reasonOf({ details }: ServiceError): string {
  if (details === 'Connection dropped') return 'connection closed'
  return /\bE[A-Z]+$/.exec(details)?.[0] ?? details
}
