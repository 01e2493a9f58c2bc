/**
 * Asks name servers, one after the other until one answers: by UDP from a port of its own for each question, by TCP
 * where an answer does not fit. Answers that were not asked for are not looked at. It remembers nothing; the time that
 * an answer may be used stands in it. Sources: RFC 1035, RFC 5452 (forged answers), RFC 6891 (EDNS), RFC 7766 (TCP).
 */
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import { decode, encode } from 'dns-packet'
import type { DecodedPacket } from 'dns-packet'
import type { Clock } from '../../contracts/clock.ts'
import { describeError, MeshError } from '../../contracts/errors.ts'
import { Turns } from './turns.ts'

/** What a packet says; the types of the library know no return code. */
export type DnsAnswer = DecodedPacket & { readonly rcode?: string }

/** An address, never a name. */
export interface NameServer {
  readonly host: string
  readonly port: number
}

export type RecordType = 'A' | 'AAAA' | 'SRV' | 'SOA'

export interface DnsClientOptions {
  /** Looked at with each question: the file that names them may change. */
  readonly servers: () => readonly NameServer[]
  readonly clock: Clock
  readonly random: () => number
  /** ms for one server to answer once. */
  readonly timeoutMs?: number
}

const defaultTimeoutMs = 2000
/** Each server is asked so often before a question is given up. */
const rounds = 2
/** Below the smallest MTU of IPv6, so that no answer comes in pieces. Source: DNS Flag Day 2020. */
const payloadBytes = 1232
/** Questions under way at the same time; others wait. */
const maxActive = 64
/** Questions that wait; more are not taken. */
const maxWaiting = 20_000
/** Datagrams that are no answer to the question; a server that sends more of them is given up. */
const maxStrangers = 16

export class DnsClient {
  private readonly options: DnsClientOptions
  private readonly turns = new Turns(
    maxActive,
    maxWaiting,
    () => new MeshError('E_REGISTRY_TIMEOUT', `${maxWaiting} questions wait already`),
  )
  private first = 0
  private answering: NameServer | undefined

  constructor(options: DnsClientOptions) {
    this.options = options
  }

  /** The server that answered last, `host:port`. */
  get server(): string | undefined {
    return this.answering === undefined ? undefined : labelOf(this.answering)
  }

  /**
   * The answer, which may be that there is no such name or record (`rcode` NOERROR or NXDOMAIN). Rejects with what the
   * last server said or did not say: E_REGISTRY_TIMEOUT, _UNREACHABLE, _DENIED (REFUSED), _PROTOCOL (SERVFAIL,
   * nonsense).
   */
  async ask(name: string, type: RecordType): Promise<DnsAnswer> {
    return this.turns.run(() => this.askAll(name, type))
  }

  /** When a question would be asked at once, or nearly. Rejects as `ask` does when too many wait. */
  room(): Promise<void> {
    return this.turns.run(async () => undefined)
  }

  private async askAll(name: string, type: RecordType): Promise<DnsAnswer> {
    const servers = this.options.servers()
    let failure: MeshError | undefined
    for (let attempt = 0; attempt < servers.length * rounds; attempt++) {
      const index = this.first % servers.length
      const server = servers[index]!
      try {
        const packet = await this.askOne(server, name, type)
        this.answering = server
        return packet
      } catch (error) {
        failure = error as MeshError
        // the next question begins with another one
        if (this.first % servers.length === index) this.first = index + 1
      }
    }
    throw failure ?? new MeshError('E_REGISTRY_UNREACHABLE', `${name}: there is no name server to ask`)
  }

  private async askOne(server: NameServer, name: string, type: RecordType): Promise<DnsAnswer> {
    const what = `${labelOf(server)} ${type} ${name}`
    let packet = await this.exchange(server, name, type, true, what)
    // an old server that knows no EDNS
    if (packet.rcode === 'FORMERR' || packet.rcode === 'NOTIMP')
      packet = await this.exchange(server, name, type, false, what)
    if (packet.rcode === 'NOERROR' || packet.rcode === 'NXDOMAIN') return packet
    throw new MeshError(
      packet.rcode === 'REFUSED' ? 'E_REGISTRY_DENIED' : 'E_REGISTRY_PROTOCOL',
      `${what}: answered ${packet.rcode}`,
    )
  }

  private async exchange(
    server: NameServer,
    name: string,
    type: RecordType,
    isExtended: boolean,
    what: string,
  ): Promise<DnsAnswer> {
    const id = Math.floor(this.options.random() * 65_536)
    const question: Asked = { id, name: name.toLowerCase(), type, what }
    const bytes = encode({
      type: 'query',
      id,
      // recursion desired
      flags: 0x0100,
      questions: [{ type, name }],
      ...(isExtended
        ? { additionals: [{ type: 'OPT', name: '.', udpPayloadSize: payloadBytes, flags: 0, options: [] } as never] }
        : {}),
    })
    const packet = await this.byUdp(server, question, bytes)
    return packet.flag_tc ? this.byTcp(server, question, bytes) : packet
  }

  private byUdp(server: NameServer, asked: Asked, bytes: Buffer): Promise<DnsAnswer> {
    return new Promise((resolve, reject) => {
      const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4')
      let strangers = 0
      const end = (settle: () => void): void => {
        cancel()
        socket.removeAllListeners()
        // a datagram that was refused may still be told of
        socket.on('error', () => undefined)
        socket.close()
        settle()
      }
      const fail = (code: 'E_REGISTRY_TIMEOUT' | 'E_REGISTRY_UNREACHABLE' | 'E_REGISTRY_PROTOCOL', why: string): void =>
        end(() => reject(new MeshError(code, `${asked.what}: ${why}`)))
      const cancel = this.options.clock.after(this.answerMs, () => fail('E_REGISTRY_TIMEOUT', this.tooLate))
      socket.on('error', (cause) => fail('E_REGISTRY_UNREACHABLE', describeError(cause)))
      socket.on('message', (message) => {
        const packet = readAnswer(message, asked)
        if (packet !== undefined) end(() => resolve(packet))
        else if (++strangers >= maxStrangers) fail('E_REGISTRY_PROTOCOL', 'what comes back is no answer to it')
      })
      // that there is no route is told here and nowhere else, which the types of node do not know
      const connected = (cause?: Error): void => {
        if (cause === undefined) socket.send(bytes)
        else fail('E_REGISTRY_UNREACHABLE', describeError(cause))
      }
      // connected: only what comes from there is heard, and a closed port is said at once
      socket.connect(server.port, server.host, connected)
    })
  }

  private byTcp(server: NameServer, asked: Asked, bytes: Buffer): Promise<DnsAnswer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: server.host, port: server.port })
      const chunks: Buffer[] = []
      let length = 0
      const end = (settle: () => void): void => {
        cancel()
        socket.destroy()
        settle()
      }
      const fail = (code: 'E_REGISTRY_TIMEOUT' | 'E_REGISTRY_UNREACHABLE' | 'E_REGISTRY_PROTOCOL', why: string): void =>
        end(() => reject(new MeshError(code, `${asked.what} by TCP: ${why}`)))
      const cancel = this.options.clock.after(this.answerMs, () => fail('E_REGISTRY_TIMEOUT', this.tooLate))
      socket.on('error', (cause) => fail('E_REGISTRY_UNREACHABLE', describeError(cause)))
      socket.on('close', () => fail('E_REGISTRY_UNREACHABLE', 'closed before the answer'))
      socket.on('connect', () => {
        const prefix = Buffer.alloc(2)
        prefix.writeUInt16BE(bytes.length)
        socket.write(Buffer.concat([prefix, bytes]))
      })
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        length += chunk.length
        if (length < 2) return
        // two bytes say how long it is: it never grows beyond 64 KiB
        const all = Buffer.concat(chunks, length)
        const wanted = all.readUInt16BE(0) + 2
        if (length < wanted) return
        const packet = readAnswer(all.subarray(2, wanted), asked)
        if (packet === undefined) fail('E_REGISTRY_PROTOCOL', 'what comes back is no answer to it')
        else end(() => resolve(packet))
      })
    })
  }

  private get answerMs(): number {
    return this.options.timeoutMs ?? defaultTimeoutMs
  }

  private get tooLate(): string {
    return `no answer in ${this.answerMs} ms`
  }
}

interface Asked {
  readonly id: number
  readonly name: string
  readonly type: RecordType
  readonly what: string
}

/** undefined = it is no answer to this question, or makes no sense. */
function readAnswer(bytes: Buffer, asked: Asked): DnsAnswer | undefined {
  let packet: DnsAnswer
  try {
    packet = decode(bytes)
  } catch {
    return undefined
  }
  if (packet.type !== 'response' || packet.id !== asked.id) return undefined
  const [question, ...others] = packet.questions ?? []
  // a server that cannot read the question need not repeat it
  if (question === undefined) return packet.rcode === 'FORMERR' ? packet : undefined
  const isSame = question.type === asked.type && question.name.toLowerCase() === asked.name.replace(/\.$/, '')
  const isRoot = asked.name === '.' && question.name === '.'
  return others.length === 0 && (isSame || isRoot) ? packet : undefined
}

function labelOf({ host, port }: NameServer): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}
