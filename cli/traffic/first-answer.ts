/**
 * Waits until a path through the mesh answers for the first time: registrations and pushes of other hosts take their
 * time.
 */
import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { MeshError } from '../../contracts/errors.ts'

const patienceMs = 20_000
const attemptMs = 2000
const pauseMs = 50

/** E_UPSTREAM_TIMEOUT when nothing good has come after 20 s. */
export async function httpAnswers(address: string, port: number, host: string): Promise<void> {
  await eventually(`${address}:${port} for ${host}`, () => httpAnswersNow(address, port, host))
}

/** The same for a line application: it must send a line back. */
export async function lineAnswers(address: string, port: number): Promise<void> {
  await eventually(`${address}:${port}`, () => lineAnswersNow(address, port))
}

/** Asks again until the answer is yes; E_UPSTREAM_TIMEOUT after 20 s. */
export async function eventually(what: string, attempt: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (!(await attempt())) {
    if (performance.now() > deadline)
      throw new MeshError('E_UPSTREAM_TIMEOUT', `${what}: no answer after ${patienceMs} ms`)
    await pause(pauseMs)
  }
}

function httpAnswersNow(address: string, port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const agent = new Agent({ keepAlive: false })
    const asked = get({ agent, host: address, port, headers: { host }, timeout: attemptMs }, (incoming) => {
      incoming.resume()
      incoming.on('end', () => resolve(incoming.statusCode === 200))
      incoming.on('error', () => resolve(false))
    })
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(false))
  })
}

function lineAnswersNow(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address)
    const settle = (isGood: boolean): void => {
      socket.destroy()
      resolve(isGood)
    }
    socket.setTimeout(attemptMs, () => settle(false))
    socket.on('connect', () => socket.write('ping\n'))
    socket.on('data', () => settle(true))
    socket.on('error', () => settle(false))
    socket.on('close', () => settle(false))
  })
}
