/**
 * One look at a local application: is it there? Resolves with nothing when it is, rejects with the reason (in words for
 * an operator) when it is not.
 */
import { createConnection } from 'node:net'
import type { CheckSpec } from './application.ts'

// Not `import`: that reads every export of the module, WebSocket among them, which loads Node's fetch: 16 MiB and 40 ms
// of each start.
const { request } = process.getBuiltinModule('node:http')

export interface ProbeTarget {
  readonly address: string
  readonly port: number
  /** See `Application.listenerUser`. */
  readonly listenerUser?: number | undefined
}

/** The same looks, at applications whose own user listens; another user's socket is not touched. */
export function probeOwn(
  look: typeof probe,
  uidOfListener: (address: string, port: number) => number | undefined,
): typeof probe {
  return (spec, target) => {
    const { address, port, listenerUser } = target
    const uid = listenerUser === undefined ? undefined : uidOfListener(address, port)
    return uid === undefined || uid === listenerUser
      ? look(spec, target)
      : Promise.reject(new Error(`user ${uid} listens there, not user ${listenerUser}, who announced it`))
  }
}

/** The same looks, and how each ended. */
export function countedProbe(look: typeof probe, onLooked: (isGood: boolean) => void): typeof probe {
  return async (spec, target) => {
    try {
      await look(spec, target)
    } catch (error) {
      onLooked(false)
      throw error
    }
    onLooked(true)
  }
}

export function probe(spec: CheckSpec, target: ProbeTarget): Promise<void> {
  switch (spec.kind) {
    case 'tcp':
      return probeTcp(target, spec.timeoutMs)
    case 'http':
      return probeHttp(target, spec.path, spec.timeoutMs)
    case 'grpc':
      return probeGrpc(target, spec.service, spec.timeoutMs)
  }
}

function probeTcp({ address, port }: ProbeTarget, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: address, port })
    socket.setTimeout(timeoutMs)
    const fail = (reason: string): void => {
      socket.destroy()
      reject(new Error(reason))
    }
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('timeout', () => fail(`no connection after ${timeoutMs} ms`))
    socket.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message))
  })
}

function probeHttp({ address, port }: ProbeTarget, path: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // no keep-alive: the check must see what a new caller would see
    const outgoing = request({
      host: address,
      port,
      path,
      method: 'GET',
      agent: false,
      headers: { connection: 'close' },
    })
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer after ${timeoutMs} ms`)), timeoutMs)
    outgoing.once('response', (incoming) => {
      clearTimeout(timer)
      const status = incoming.statusCode ?? 0
      // the head is the answer; a body without end must not hold anything
      incoming.destroy()
      if (status >= 200 && status < 300) resolve()
      else reject(new Error(`GET ${path} answered ${status}, allowed 200 to 299`))
    })
    outgoing.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      // a reply that cannot be parsed leaves the socket open
      outgoing.destroy()
      reject(new Error(error.code ?? error.message))
    })
    outgoing.once('close', () => {
      clearTimeout(timer)
      // all that is heard of an application that changes the protocol
      reject(new Error('the connection ended without an answer'))
    })
    outgoing.end()
  })
}

const servingStatus = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const

/**
 * grpc.health.v1.Health/Check: request field 1 = service name, reply field 1 = status (the protocol's own definition, 4
 * lines, needs no generator).
 */
async function probeGrpc({ address, port }: ProbeTarget, service: string, timeoutMs: number): Promise<void> {
  // loaded only where a gRPC check exists: it is most of control's memory
  const grpc = await import('@grpc/grpc-js')
  const host = address.includes(':') ? `[${address}]` : address
  const client = new grpc.Client(`${host}:${port}`, grpc.credentials.createInsecure())
  try {
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        encodeRequest,
        decodeStatus,
        service,
        new grpc.Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, status) => {
          if (error !== null) reject(new Error(`${grpc.status[error.code]}: ${error.details}`))
          else if (status === 1) resolve()
          else reject(new Error(`health is ${servingStatus[status ?? 0] ?? String(status)}`))
        },
      )
    })
  } finally {
    client.close()
  }
}

function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service)
  if (name.length === 0) return Buffer.alloc(0)
  // names are at most 256 characters: their length fits two varint bytes
  const length = name.length < 128 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7]
  return Buffer.concat([Buffer.from([0x0a, ...length]), name])
}

function decodeStatus(bytes: Buffer): number {
  return bytes.length >= 2 && bytes[0] === 0x08 ? bytes[1]! : 0
}
