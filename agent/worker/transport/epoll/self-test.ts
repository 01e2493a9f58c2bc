/**
 * What `epoll/` expects of the calls beneath it and of libuv around it, tried in a process that may die of it: ranges
 * kept to the byte, errno, urgent data, a copy that lives on, an owner that throws, timers beside it. What every
 * transport must do is in `raw-self-test.ts`.
 */
import { constants } from 'node:os'

import type { FastCalls } from '../../../../native/fast-calls.ts'
import type { Output } from '../output.ts'
import { proveTransports } from '../raw-self-test.ts'
import type { Transport, Transports } from '../transport.ts'

const guard = 0xa5
const guardBytes = 4096
const { EBADF, EAGAIN } = constants.errno

/**
 * Rejects with what was expected and what came instead. `duplicate` copies a descriptor, `takeThrown` is told what an
 * owner threw.
 */
export async function proveEpoll(deps: {
  readonly calls: FastCalls
  readonly transports: Transports
  readonly output: Output
  readonly duplicate: (descriptor: number) => number
  readonly expectThrown: () => Promise<unknown>
}): Promise<void> {
  const { calls, output, transports } = deps
  await proveTransports(transports, output)
  const accepted: Transport[] = []
  const listener = await transports.listen({ address: '127.0.0.1', port: 0, backlog: 8, reusePort: false }, (one) =>
    accepted.push(one),
  )
  const near = await dialled(transports, listener.port)
  const far = await come(() => accepted[0])
  try {
    proveErrno(calls, near)
    await proveRanges(calls, near, far)
    await proveTimers(near, far, output)
    await proveThrow(near, far, output, deps.expectThrown)
    await proveCopy(calls, near, far, output, deps.duplicate)
  } finally {
    near.close()
    far.close()
    listener.close()
  }
}

function proveErrno(calls: FastCalls, transport: Transport): void {
  const memory = calls.fix(Buffer.allocUnsafeSlow(guardBytes))
  const refused = calls.recv(-1, memory)
  if (refused !== -EBADF) throw new Error(`${refused}, not -EBADF`)
  const empty = calls.recv(transport.descriptor, memory)
  if (empty !== -EAGAIN) throw new Error(`${empty}, not -EAGAIN`)
}

/**
 * Many lengths, so that the engine compiles the calls meanwhile: exactly the range leaves, and nothing outside the
 * range is written.
 */
async function proveRanges(calls: FastCalls, near: Transport, far: Transport): Promise<void> {
  const source = Buffer.allocUnsafeSlow(3 * guardBytes)
  const target = Buffer.allocUnsafeSlow(3 * guardBytes)
  const from = calls.fix(source)
  const into = calls.fix(target.subarray(guardBytes, 2 * guardBytes))
  for (let round = 0; round < 3000; round++) {
    const length = 1 + ((round * 37) % guardBytes)
    source.fill(guard)
    source.fill(round & 0x7f, guardBytes, guardBytes + length)
    target.fill(guard)
    const sent = calls.send(near.descriptor, from, guardBytes, guardBytes + length)
    if (sent !== length) throw new Error(`send: ${sent}`)
    let got = 0
    while (got < length) {
      const count = calls.recv(far.descriptor, into)
      if (count < 0) await new Promise((resolve) => setImmediate(resolve))
      else if (!isAll(target, guardBytes, guardBytes + count, round & 0x7f)) throw new Error('other bytes came')
      else got += count
    }
    if (got !== length) throw new Error(`${length} bytes left, ${got} came`)
    if (!isAll(target, 0, guardBytes, guard) || !isAll(target, 2 * guardBytes, 3 * guardBytes, guard))
      throw new Error('a read wrote outside of its range')
  }
}

function isAll(bytes: Buffer, from: number, to: number, value: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== value) return false
  return true
}

/** A busy pair does not keep timers from coming. */
async function proveTimers(near: Transport, far: Transport, output: Output): Promise<void> {
  let isBusy = true
  const answer = (transport: Transport) => () => {
    if (!isBusy) return
    output.latin1('x')
    transport.write(output)
  }
  near.owner = { ...quiet, onBytes: answer(near) }
  far.owner = { ...quiet, onBytes: answer(far) }
  near.resumeReading()
  far.resumeReading()
  answer(near)()
  await new Promise((resolve) => setTimeout(resolve, 20))
  isBusy = false
  await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Both connections of one batch are told, though the first owner throws. */
async function proveThrow(near: Transport, far: Transport, output: Output, expectThrown: () => Promise<unknown>) {
  const seen: string[] = []
  const owner = (name: string) => ({
    ...quiet,
    onBytes() {
      seen.push(name)
      throw new Error('on purpose')
    },
  })
  near.owner = owner('near')
  far.owner = owner('far')
  const thrown = [expectThrown(), expectThrown()]
  output.latin1('x')
  near.write(output)
  output.latin1('x')
  far.write(output)
  await Promise.all(thrown)
  if (seen.length !== 2) throw new Error(`an exception cost an event: told ${seen.join()}`)
}

/** After `release` nothing is told of a socket, though a copy of it lives and something comes. */
async function proveCopy(
  calls: FastCalls,
  near: Transport,
  far: Transport,
  output: Output,
  duplicate: (descriptor: number) => number,
): Promise<void> {
  let told = 0
  far.owner = { ...quiet, onBytes: () => told++, onEnd: () => told++, onClosed: () => told++ }
  const copy = duplicate(far.descriptor)
  far.release()
  output.latin1('late')
  near.write(output)
  const memory = calls.fix(Buffer.allocUnsafeSlow(guardBytes))
  await come(() => (calls.recv(copy, memory) === 4 ? copy : undefined))
  await new Promise((resolve) => setTimeout(resolve, 5))
  calls.close(copy)
  if (told > 0) throw new Error('a socket was told of after its release')
}

const quiet = { onBytes() {}, onEnd() {}, onDrained() {}, onClosed() {} }

function dialled(transports: Transports, port: number): Promise<Transport> {
  return new Promise((resolve, reject) => {
    transports.dial('127.0.0.1', port, (transport, reason) => {
      if (transport === null) reject(new Error(`dial: ${reason}`))
      else resolve(transport)
    })
  })
}

async function come<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    await new Promise((resolve) => setImmediate(resolve))
  }
}
