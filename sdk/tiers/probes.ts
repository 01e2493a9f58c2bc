/** Probes: a short question on a connection of its own, which only the far end itself can answer. */
import net from 'node:net'
import { probeRequest } from '../../contracts/handoff.ts'
import type { RpcCodec } from '../../rpc/codec.ts'
import { FrameKind, RpcFrame } from '../../rpc/frame.ts'
import type { Address } from '../options.ts'
import type { Clock } from '../../contracts/clock.ts'
import type { ProbeResult } from './proxy.ts'

/** For the connection and the answer together, ms. */
const probeTimeoutMs = 2000
/** The longest answer that is looked at. */
const maxAnswerBytes = 1024

/** Any answer of HTTP will do. `introduction`: the PROXY header that a center wants first. */
export function probeOverHttp(address: Address, clock: Clock, introduction?: () => Buffer): Promise<ProbeResult> {
  const question = `GET ${probeRequest.path} HTTP/1.1\r\nhost: ${probeRequest.host}\r\nconnection: close\r\n\r\n`
  return askOnce(
    address,
    clock,
    () => [...(introduction === undefined ? [] : [introduction()]), Buffer.from(question, 'latin1')],
    (answer) => (answer.length < 7 ? undefined : answer.toString('latin1', 0, 7) === 'HTTP/1.'),
  )
}

/** The protocol's own heartbeat; where it has none, that the connection is taken. */
export function probeOverRpc(address: Address, clock: Clock, codec: RpcCodec): Promise<ProbeResult> {
  const heartbeat = codec.heartbeat(1)
  if (heartbeat === null)
    return askOnce(
      address,
      clock,
      () => [],
      () => true,
    )
  const frame = new RpcFrame()
  return askOnce(
    address,
    clock,
    () => [heartbeat],
    (answer) => {
      const length = codec.measure(answer, 0, answer.length, maxAnswerBytes)
      if (length < 0) return false
      if (length === 0 || length > answer.length) return undefined
      return codec.read(answer, 0, length, frame) >= 0 && frame.kind === FrameKind.heartbeatReply
    },
  )
}

/** judge: undefined = more is needed. It is asked with nothing as soon as the connection stands. */
function askOnce(
  { host, port }: Address,
  clock: Clock,
  question: () => readonly Buffer[],
  judge: (answer: Buffer) => boolean | undefined,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, noDelay: true })
    socket.unref()
    let isConnected = false
    let answer: Buffer = Buffer.alloc(0)
    const settle = (result: ProbeResult): void => {
      cancel()
      socket.destroy()
      resolve(result)
    }
    const cancel = clock.after(probeTimeoutMs, () => settle(isConnected ? 'silent' : 'refused'))
    const look = (): void => {
      const verdict = judge(answer)
      if (verdict !== undefined) settle(verdict ? 'answered' : 'silent')
      else if (answer.length > maxAnswerBytes) settle('silent')
    }
    socket.on('connect', () => {
      isConnected = true
      try {
        for (const bytes of question()) socket.write(bytes)
      } catch {
        // there is nothing to introduce ourselves with
        settle('refused')
        return
      }
      look()
    })
    socket.on('data', (bytes: Buffer) => {
      answer = Buffer.concat([answer, bytes])
      look()
    })
    const ended = (): void => settle(isConnected ? 'silent' : 'refused')
    socket.on('error', ended).on('close', ended)
  })
}
