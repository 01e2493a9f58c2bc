/**
 * Both ends of Bolt for the benchmark, as cheap as they can be: frames of one length, so that bytes tell how many.
 *
 * Usage: node rpc-main.ts serve PORT, or node rpc-main.ts load PORT PROTOCOL DEPTH SECONDS, which keeps DEPTH requests
 * of 256 bytes in flight on one connection and prints one JSON object.
 */
import { connect, createServer } from 'node:net'
import { percentile } from '../scenario.ts'
import { RpcFrame } from '../../rpc/frame.ts'
import { codecOf, framesOf, requestBytes } from './rpc-frames.ts'

const [mode, ...rest] = process.argv.slice(2)
if (mode === 'serve') serve(Number(rest[0]), rest[1]!)
else load(Number(rest[0]), rest[1]!, Number(rest[2]), Number(rest[3]))

/**
 * Answers each whole request of a read with the one reply, under its id; and the heartbeat of a connection that is
 * quiet while others are measured, which comes alone.
 */
function serve(port: number, protocol: string): void {
  const { idAt, idBytes, reply } = framesOf(protocol)
  const codec = codecOf(protocol)
  const beatBytes = codec.heartbeat(1)!.length
  const frame = new RpcFrame()
  createServer((socket) => {
    let kept: Buffer = Buffer.alloc(0)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      if (kept.length === 0 && chunk.length === beatBytes) {
        codec.read(chunk, 0, beatBytes, frame)
        socket.write(codec.heartbeatReply(chunk, 0, beatBytes, frame))
        return
      }
      const bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk])
      const count = Math.floor(bytes.length / requestBytes)
      const answers = Buffer.allocUnsafe(count * reply.length)
      for (let n = 0; n < count; n++) {
        reply.copy(answers, n * reply.length)
        const from = n * requestBytes + idAt
        bytes.copy(answers, n * reply.length + idAt, from, from + idBytes)
      }
      if (count > 0) socket.write(answers)
      kept = Buffer.from(bytes.subarray(count * requestBytes))
    })
  }).listen(port, '127.0.0.1')
}

function load(port: number, protocol: string, depth: number, seconds: number): void {
  const { reply, request } = framesOf(protocol)
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const sentAt: number[] = []
  const took: number[] = []
  let missing = reply.length
  let answered = 0
  const many = Buffer.concat(Array.from({ length: depth }, () => request))
  const send = (count: number): void => {
    const now = performance.now()
    for (let n = 0; n < count; n++) sentAt.push(now)
    socket.write(many.subarray(0, count * request.length))
  }
  socket.on('connect', () => send(depth))
  socket.on('data', (chunk: Buffer) => {
    let got = chunk.length
    let count = 0
    while (got >= missing) {
      got -= missing
      missing = reply.length
      count++
    }
    missing -= got
    const now = performance.now()
    for (let n = 0; n < count; n++) took.push(now - sentAt.shift()!)
    answered += count
    if (count > 0) send(count)
  })
  const fail = (): void => {
    process.stdout.write(`${JSON.stringify({ requests: answered, errors: 1, requestsPerSecond: 0, p50: 0 })}\n`)
    process.exit(0)
  }
  socket.on('error', fail)
  socket.on('close', fail)
  setTimeout(() => {
    const result = { requests: answered, errors: 0, requestsPerSecond: answered / seconds, p50: percentile(took, 0.5) }
    process.stdout.write(`${JSON.stringify(result)}\n`)
    process.exit(0)
  }, seconds * 1000)
}
