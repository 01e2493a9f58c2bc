/** A real request to a worker, over a connection of its own: proves that it accepts, parses and answers. */
import net from 'node:net'
import { probeRequest } from '../../contracts/handoff.ts'
import type { ProbeAddress } from '../../contracts/handoff.ts'

const maxAnswerBytes = 4096

/** undefined = answered 200; otherwise what was seen instead. Never rejects; always settles within `timeoutMs`. */
export function probe(address: ProbeAddress, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const where = `${address.address}:${address.port}`
    let answer = ''
    let isSettled = false
    const socket = net.connect(address.port, address.address)
    const settle = (problem: string | undefined): void => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      socket.destroy()
      resolve(problem)
    }
    const timer = setTimeout(() => settle(`${where}: no answer to a probe request after ${timeoutMs} ms`), timeoutMs)
    socket.on('connect', () => {
      socket.write(`GET ${probeRequest.path} HTTP/1.1\r\nhost: ${probeRequest.host}\r\nconnection: close\r\n\r\n`)
    })
    socket.on('data', (bytes: Buffer) => {
      answer += bytes.toString('latin1')
      if (answer.includes('\r\n\r\n') || answer.length > maxAnswerBytes) settle(judge(where, answer))
    })
    socket.on('error', (error) => settle(`${where}: probe request failed: ${error.message}`))
    socket.on('close', () => settle(`${where}: probe request got no whole answer`))
  })
}

function judge(where: string, answer: string): string | undefined {
  const line = answer.slice(0, Math.min(80, answer.indexOf('\r\n')))
  return line.startsWith('HTTP/1.1 200 ') ? undefined : `${where}: probe request answered "${line}", expected 200`
}
