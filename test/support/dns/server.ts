/** A name server for tests, by UDP and TCP on one port, that can be silent, slow, lying, or short of room. */
import { createSocket } from 'node:dgram'
import type { RemoteInfo } from 'node:dgram'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { decode, encode } from 'dns-packet'
import type { Answer, DecodedPacket } from 'dns-packet'

export type Rcode = 'NOERROR' | 'NXDOMAIN' | 'SERVFAIL' | 'REFUSED' | 'FORMERR'

/** What a name has; `rcode` instead of it. */
export interface Zone {
  readonly records?: readonly Answer[]
  readonly rcode?: Rcode
  /** What comes along, where it has room. */
  readonly beside?: readonly Answer[]
  /** Of a denial: how long it counts, seconds. */
  readonly denialSeconds?: number
}

export interface NameServerDouble {
  readonly port: number
  /** `name type` in lower case of every question, in order; `/tcp` behind those by TCP. */
  readonly questions: string[]
  /** Replaces everything that is known of the name. */
  set(name: string, zone: Zone): void
  clear(): void
  /** No answer to anything. */
  isSilent: boolean
  /** By UDP nothing has room. */
  isTruncating: boolean
  /** Rewrites, repeats or spoils datagrams before they go; several = sent in order. */
  spoil: ((answer: Buffer, question: DecodedPacket) => readonly Buffer[]) | undefined
  stop(): Promise<void>
  /** On the same port, with what it had. */
  listen(): Promise<void>
}

const rcodes: Readonly<Record<Rcode, number>> = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 }

export function a(name: string, address: string, ttl = 60): Answer {
  return { type: address.includes(':') ? 'AAAA' : 'A', name, data: address, ttl, class: 'IN' }
}

export function alias(name: string, to: string, ttl = 60): Answer {
  return { type: 'CNAME', name, data: to, ttl, class: 'IN' }
}

export function srv(
  name: string,
  target: string,
  port: number,
  { priority = 0, weight = 0, ttl = 60 }: { priority?: number; weight?: number; ttl?: number } = {},
): Answer {
  return { type: 'SRV', name, data: { target, port, priority, weight }, ttl, class: 'IN' }
}

export async function startNameServer(): Promise<NameServerDouble> {
  const zones = new Map<string, Zone>()
  const sockets = new Set<Socket>()
  let udp = createSocket('udp4')
  let tcp = createServer()

  const answerTo = (question: DecodedPacket, isTruncated: boolean): Buffer => {
    const { name, type } = question.questions![0]!
    const zone = zones.get(name.toLowerCase()) ?? { rcode: 'NXDOMAIN' }
    const { rcode = 'NOERROR', records = [], beside = [], denialSeconds } = zone
    const answers = records.filter((one) => one.name !== name || one.type === type || one.type === 'CNAME')
    return encode({
      type: 'response',
      id: question.id!,
      // recursion is desired and available; truncated
      flags: 0x0180 | (isTruncated ? 0x0200 : 0) | rcodes[rcode],
      questions: question.questions!,
      answers: isTruncated ? [] : answers,
      additionals: isTruncated ? [] : [...beside],
      ...(denialSeconds === undefined
        ? {}
        : {
            authorities: [
              {
                type: 'SOA',
                name: 'example.com',
                ttl: denialSeconds,
                data: {
                  mname: 'ns.example.com',
                  rname: 'root.example.com',
                  serial: 1,
                  refresh: 1,
                  retry: 1,
                  expire: 1,
                  minimum: denialSeconds,
                },
              },
            ],
          }),
    })
  }
  const note = (question: DecodedPacket, way: string): void => {
    const { name, type } = question.questions![0]!
    double.questions.push(`${name.toLowerCase()} ${type}${way}`)
  }
  const heard = (message: Buffer, from: RemoteInfo): void => {
    const question = decode(message)
    note(question, '')
    if (double.isSilent) return
    const answer = answerTo(question, double.isTruncating)
    for (const one of double.spoil?.(answer, question) ?? [answer]) udp.send(one, from.port, from.address)
  }
  const connected = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    let held = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      if (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) return
      const question = decode(held.subarray(2))
      note(question, '/tcp')
      if (double.isSilent) return
      const answer = answerTo(question, false)
      const prefix = Buffer.alloc(2)
      prefix.writeUInt16BE(answer.length)
      // in pieces, as a network may
      socket.write(prefix)
      setImmediate(() => socket.write(answer))
    })
  }
  const bind = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      udp.on('error', reject)
      udp.bind(port, '127.0.0.1', () => {
        const { port: bound } = udp.address()
        tcp.on('error', reject)
        tcp.listen(bound, '127.0.0.1', () => resolve((tcp.address() as AddressInfo).port))
      })
    })
  const listen = async (port: number): Promise<number> => {
    // the port of UDP that the system gives may be taken for TCP
    for (let attempt = 0; ; attempt++) {
      udp = createSocket('udp4')
      tcp = createServer(connected)
      udp.on('message', heard)
      // a double keeps nobody alive
      udp.unref()
      tcp.unref()
      try {
        return await bind(port)
      } catch (error) {
        udp.close()
        if (attempt === 20) throw error
      }
    }
  }
  let port = 0
  const double: NameServerDouble = {
    get port() {
      return port
    },
    questions: [],
    isSilent: false,
    isTruncating: false,
    spoil: undefined,
    set: (name, zone) => void zones.set(name.toLowerCase(), zone),
    clear: () => zones.clear(),
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ])
    },
    listen: async () => {
      port = await listen(port)
    },
  }
  port = await listen(0)
  return double
}
