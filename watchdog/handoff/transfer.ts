/**
 * Moves listening sockets between the watchdog and its children: held ones to a new worker, fresh ones from a worker, a
 * dead neighbour's to a living one.
 */
import { join } from 'node:path'
import { handoffVersion, maxDescriptorsPerBatch } from '../../contracts/handoff.ts'
import type { ChildToWatchdog, DescriptorBatch, ShardName } from '../../contracts/handoff.ts'
import { runFiles } from '../../contracts/run-directory.ts'
import { BatchSender } from '../../native/batch-sender.ts'
import type { DescriptorPort, Native } from '../../native/descriptors.ts'
import type { HeldSocket, HeldSockets } from '../hold/held-sockets.ts'
import type { DescriptorReserve } from '../hold/reserve.ts'
import type { Log } from '../log.ts'
import type { Child } from '../supervise/child.ts'
import type { Generation } from '../supervise/generation.ts'

export interface TransferDeps {
  readonly runDir: string
  readonly native: Native
  readonly port: DescriptorPort
  readonly held: HeldSockets
  readonly reserve: DescriptorReserve
  readonly log: Log
}

export class Transfer {
  private readonly deps: TransferDeps

  constructor(deps: TransferDeps) {
    this.deps = deps
  }

  /** First words to a child. A worker that accepts already gets nothing, and is asked for what we lack. */
  welcome(generation: Generation, child: Child, listening: readonly ShardName[]): void {
    const { held, port, runDir } = this.deps
    const { workers } = generation.release
    child.sender?.close()
    child.sender =
      child.role === 'worker'
        ? new BatchSender(port, join(runDir, runFiles.workerDescriptors(generation.number, child.index)))
        : undefined
    const isFresh = child.role === 'worker' && listening.length === 0
    const batches = isFresh ? inBatches(held.of(child.index, workers)) : []
    child.send({
      type: 'welcome',
      link: handoffVersion,
      watchdogPid: process.pid,
      workers,
      batches: batches.length,
      wanted: listening.filter((shard) => !held.has(shard)),
    })
    for (const batch of batches) this.handOver(child, batch, 'start')
  }

  /** `neighbour` accepts on all shards of worker `index` until `uncover`. */
  cover(generation: Generation, index: number, neighbour: Child): void {
    const shards = this.deps.held.of(index, generation.release.workers)
    for (const batch of inBatches(shards)) this.handOver(neighbour, batch, 'cover')
    generation.covers.set(index, neighbour)
  }

  uncover(generation: Generation, index: number): void {
    const neighbour = generation.covers.get(index)
    if (neighbour === undefined) return
    generation.covers.delete(index)
    const shards = this.deps.held.of(index, generation.release.workers).map((held) => held.shard)
    neighbour.send({ type: 'uncover', shards })
  }

  /** Descriptors of a deposit become ours. Answers `received`, or `refused` when they did not come. */
  deposit(child: Child, batch: Extract<ChildToWatchdog, { type: 'deposit' }>): void {
    const { held, log, native, port, reserve } = this.deps
    const take = (): number[] | undefined => port.take(child.pid, batch.batch)
    let descriptors = take()
    if (descriptors === undefined && reserve.size > 0) {
      // Cut off for want of descriptors: with the reserve given up the worker can send it again.
      reserve.release()
      descriptors = take()
    }
    if (descriptors?.length !== batch.shards.length) {
      for (const descriptor of descriptors ?? []) native.close(descriptor)
      log(
        'error',
        `worker ${child.index}: ${batch.shards.length} listeners were announced, ${descriptors?.length ?? 0} came; they are not held`,
      )
      child.send({ type: 'refused', code: 'E_HANDOFF_REFUSED', message: 'the descriptors did not arrive' })
      return
    }
    batch.shards.forEach((shard, position) => {
      if (!held.keep(shard, descriptors[position]!))
        log('error', `${shard.name}: not held, there are too many listeners`)
    })
    child.send({ type: 'received', batch: batch.batch })
  }

  private handOver(child: Child, part: readonly HeldSocket[], why: 'start' | 'cover'): void {
    const shards = part.map((held) => held.shard)
    void child.sender
      ?.send(
        part.map((held) => held.descriptor),
        (batch) =>
          child.send({ type: 'handover', why, batch, shards } satisfies {
            type: 'handover'
            why: string
          } & DescriptorBatch),
      )
      .then((outcome) => {
        if (outcome === 'failed' && !child.isGone) {
          this.deps.log('error', `worker ${child.index} (pid ${child.pid}) did not take ${shards.length} listeners`)
        }
        return undefined
      })
  }
}

function inBatches(sockets: readonly HeldSocket[]): HeldSocket[][] {
  const batches: HeldSocket[][] = []
  for (let at = 0; at < sockets.length; at += maxDescriptorsPerBatch) {
    batches.push(sockets.slice(at, at + maxDescriptorsPerBatch))
  }
  return batches
}
