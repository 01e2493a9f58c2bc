/**
 * An earlier state of ourselves, for before and after in one interleaved run: a checkout with its node_modules, built
 * and started by its own benchmark, so that it gets the snapshot that it understands.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { atMost } from '../scenario.ts'
import type { BenchOptions, Goal, Scenario } from '../scenario.ts'
import type { MeshOptions } from './hostmesh.ts'
import type { Peer, RunningPeer } from './peer.ts'

const name = 'Hostmesh earlier'

export interface EarlierState {
  readonly folder: string
  /** What its own build made, once in a run: a second build would take the files of running workers away. */
  readonly releaseFolder: string
  startMesh(options: MeshOptions): Promise<RunningPeer>
  readonly scenarios: readonly Scenario[]
}

/** Builds it. Rejects when the folder has no benchmark, or its build makes no worker. */
export async function openEarlier(folder: string, log: (line: string) => void): Promise<EarlierState> {
  // releases build into it, and not all of them make it
  mkdirSync(join(folder, '.cache'), { recursive: true })
  const { buildRelease } = (await import(`${folder}/bench/release.ts`)) as {
    buildRelease(log: (line: string) => void): string
  }
  const { startMesh } = (await import(`${folder}/bench/peers/hostmesh.ts`)) as Pick<EarlierState, 'startMesh'>
  const { scenarios } = (await import(`${folder}/bench/scenarios/index.ts`)) as Pick<EarlierState, 'scenarios'>
  const releaseFolder = buildRelease(log)
  return {
    folder,
    releaseFolder,
    startMesh: (options) => startMesh({ ...options, workerMain: workerOf(releaseFolder) }),
    scenarios,
  }
}

export function earlier(state: EarlierState): Peer {
  return {
    name,
    missing: '',
    modes: ['http', 'http2', 'tcp'],
    version: () => state.folder,
    start: (options) => state.startMesh(options),
  }
}

/** As the scenarios of the earlier state take them. */
export function optionsOfEarlier(options: BenchOptions, { releaseFolder }: EarlierState): BenchOptions {
  return { ...options, earlier: undefined, releaseFolder, workerMain: workerOf(releaseFolder) }
}

/** The goal of every change: no dearer than before by more than 2 %. None without an earlier state in the run. */
export function againstEarlier(text: string, costOf: (peer: string) => number): Goal[] {
  const before = costOf(name)
  if (!Number.isFinite(before)) return []
  return [atMost(`${text} against the earlier state`, costOf('Hostmesh') / before, 1.02, 'x earlier')]
}

const workerOf = (releaseFolder: string): string => `${releaseFolder}/agent/worker/main.js`
