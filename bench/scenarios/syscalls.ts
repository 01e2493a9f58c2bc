/**
 * System calls per request, counted by strace in a run of its own: tracing slows the worker down, so no time is taken
 * here.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { runWrk } from '../load/wrk.ts'
import { startOrigin } from '../origin.ts'
import { haproxy } from '../peers/haproxy.ts'
import { hostmesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { startPeers } from '../contenders.ts'
import { versionOf } from '../processes.ts'
import { atMost, format } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'

const connections = 64

/**
 * Accept, options, last read, shutdown and close of a caller's connection, which the generator opens anew for the
 * window.
 */
const callsPerConnection = 8

/** Waiting for events is shared by all requests that are ready, so it is told apart. */
const polls = new Set(['epoll_wait', 'epoll_pwait', 'epoll_pwait2'])

export const syscalls: Scenario = {
  name: 'syscalls',
  title: 'System calls per request (strace)',
  run: async (options) => {
    if (versionOf('strace', ['-V']) === undefined) throw new Error('strace is missing: apt-get install strace')
    const origin = await startOrigin(options.loadCpu)
    const started = await startPeers([hostmesh, haproxy], oneWorker(options, origin.port, 'http'), options)
    const rows: string[][] = []
    const raw: Record<string, unknown> = {}
    let ours = NaN
    let allowed = NaN
    try {
      for (const { name, peer } of started.peers) {
        const url = `http://127.0.0.1:${peer.port}/`
        await runWrk({ cpus: options.loadCpu, url, connections, seconds: options.warmSeconds })
        const counting = count(peer.pids[0]!)
        await sleep(1000)
        const result = await runWrk({ cpus: options.loadCpu, url, connections, seconds: options.windowSeconds })
        const counts = await counting.stop()
        raw[name] = { requests: result.requests, counts }
        const perRequest = Object.entries(counts)
          .map(([call, times]) => ({ call, each: times / result.requests }))
          .filter(({ each }) => each >= 0.005)
          .toSorted((one, two) => two.each - one.each)
        const own = perRequest.filter(({ call }) => !polls.has(call)).reduce((sum, { each }) => sum + each, 0)
        const poll = perRequest.filter(({ call }) => polls.has(call)).reduce((sum, { each }) => sum + each, 0)
        if (name === 'Hostmesh') {
          ours = own
          allowed = 4 + (connections * callsPerConnection) / result.requests
        }
        const detail = perRequest.map(({ call, each }) => `${call} ${format(each)}`).join(', ')
        rows.push([name, format(own), format(poll), detail])
      }
    } finally {
      await started.close()
      await origin.close()
    }
    return {
      name: 'syscalls',
      title: syscalls.title,
      method: [
        `${connections} keep-alive connections; all threads; calls below 0.005 per request left out; the goal leaves ${callsPerConnection} calls for each connection opened`,
      ],
      columns: ['proxy', 'calls', 'polls', 'of which'],
      rows,
      goals: [atMost('calls per request besides the shared poll', ours, allowed, 'calls')],
      remarks: started.remarks,
      raw,
    }
  },
}

function count(pid: number): { stop: () => Promise<Record<string, number>> } {
  const child = spawn('strace', ['-f', '-c', '-q', '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const ended = once(child, 'close')
  return {
    stop: async () => {
      child.kill('SIGINT')
      await ended
      const counts: Record<string, number> = {}
      for (const line of text.split('\n')) {
        const row = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line)
        if (row !== null && row[2] !== 'total') counts[row[2]!] = Number(row[1])
      }
      return counts
    },
  }
}
