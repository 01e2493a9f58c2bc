/**
 * An earlier state of ourselves, for before and after in one interleaved run: a checkout with its node_modules, built
 * and started by its own benchmark, so that it gets the snapshot that it understands.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { atMost } from '../scenario.ts'
import type { Goal } from '../scenario.ts'
import type { MeshOptions } from './hostmesh.ts'
import type { Peer, RunningPeer } from './peer.ts'

const name = 'Hostmesh earlier'

export function earlier(folder: string, log: (line: string) => void): Peer {
  return {
    name,
    missing: '',
    modes: ['http', 'http2', 'tcp'],
    version: () => folder,
    start: async (options) => {
      // releases build into it, and not all of them make it
      mkdirSync(join(folder, '.cache'), { recursive: true })
      const { buildRelease } = (await import(`${folder}/bench/release.ts`)) as {
        buildRelease(log: (line: string) => void): string
      }
      const { startMesh } = (await import(`${folder}/bench/peers/hostmesh.ts`)) as {
        startMesh(options: MeshOptions): Promise<RunningPeer>
      }
      return startMesh({ ...options, workerMain: `${buildRelease(log)}/agent/worker/main.js` })
    },
  }
}

/** The goal of every change: no dearer than before by more than 2 %. None without an earlier state in the run. */
export function againstEarlier(text: string, costOf: (peer: string) => number): Goal[] {
  const before = costOf(name)
  if (!Number.isFinite(before)) return []
  return [atMost(`${text} against the earlier state`, costOf('Hostmesh') / before, 1.02, 'x earlier')]
}
