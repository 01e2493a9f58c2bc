import { readFileSync } from 'node:fs'
import { loadLibc } from '../../../native/libc.ts'

/** `struct tcp_info` of a listening socket says the longest queue where that of a connection counts SACKs. */
const tcpInfo = { level: 6, name: 11, queueAt: 28, bytes: 32 } as const

/** How many connections may wait in the queue of a listening socket. */
export function backlogOf(descriptor: number): number {
  const { libc, problem } = loadLibc()
  if (libc === undefined) throw new Error(problem)
  const value = Buffer.alloc(tcpInfo.bytes)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(value.length)
  if (libc.getsockopt(descriptor, tcpInfo.level, tcpInfo.name, value, length) !== 0) throw new Error('no tcp_info')
  return value.readUInt32LE(tcpInfo.queueAt)
}

/** What the kernel makes of a wish. */
export function allowedBacklog(wished: number): number {
  return Math.min(wished, Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8')))
}
