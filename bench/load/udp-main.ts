/**
 * Both ends of UDP for the benchmark, as cheap as they can be: an application that sends everything back, and callers
 * that each keep one datagram on its way.
 *
 * Usage: node udp-main.ts serve PORT, or node udp-main.ts load PORT CALLERS SECONDS, which prints one JSON object.
 */
import { DatagramBatch } from '../../native/datagram-batch.ts'
import { DatagramSockets } from '../../native/datagram-sockets.ts'
import { openFastCalls, openWrappedCalls } from '../../native/fast-calls.ts'
import { Edge, EpollLoop } from '../../agent/worker/transport/epoll/loop.ts'
import type { Watched } from '../../agent/worker/transport/epoll/loop.ts'

/** A datagram that is not back after so long is lost, and sent again, ms. */
const lostMs = 250
const datagramBytes = 1024

const calls = openFastCalls().calls ?? openWrappedCalls()
const sockets = new DatagramSockets()
const loop = new EpollLoop(calls)
const batch = new DatagramBatch(calls.source)

const [mode, port = '', callers = '', seconds = ''] = process.argv.slice(2)
if (mode === 'serve') serve(Number(port))
else load(Number(port), Number(callers), Number(seconds))

function watch(socket: number, onEvents: () => void): void {
  const watched: Watched = { isQueued: false, onEvents, onTurn() {} }
  loop.add(socket, watched, Edge.in)
}

function serve(at: number): void {
  const socket = sockets.bound('127.0.0.1', at, false)
  watch(socket, () => {
    const count = batch.receive(socket)
    for (let slot = 0; slot < count; slot++) batch.sendTo(socket, slot, slot + 1, batch.nameOf(slot))
  })
  console.log('serves')
}

function load(at: number, count: number, time: number): void {
  const datagram = calls.fix(Buffer.allocUnsafeSlow(datagramBytes).fill('d'))
  let answers = 0
  let lost = 0
  let isOver = false
  const heardAt = Array.from({ length: count }, () => performance.now())
  const opened = Array.from({ length: count }, (_, index) => {
    const socket = sockets.connected('127.0.0.1', at)
    watch(socket, () => {
      const got = batch.receive(socket)
      if (got <= 0) return
      answers += got
      heardAt[index] = performance.now()
      if (!isOver) batch.send(socket, 0, got)
    })
    return socket
  })
  const startedAt = performance.now()
  for (const socket of opened) calls.send(socket, datagram, 0, datagramBytes)
  setInterval(() => {
    for (const [index, socket] of opened.entries()) {
      if (performance.now() - heardAt[index]! < lostMs) continue
      lost++
      calls.send(socket, datagram, 0, datagramBytes)
    }
  }, lostMs)
  setTimeout(() => {
    isOver = true
    const passed = (performance.now() - startedAt) / 1000
    console.log(JSON.stringify({ requests: answers, errors: lost, requestsPerSecond: answers / passed }))
    process.exit(0)
  }, time * 1000)
}
