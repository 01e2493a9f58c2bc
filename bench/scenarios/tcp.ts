/** TCP relay: small round trips, and bulk. */
import { startPeers } from '../contenders.ts'
import { startOrigin } from '../origin.ts'
import { againstEarlier } from '../peers/earlier.ts'
import { envoy } from '../peers/envoy.ts'
import { haproxy, splicingHaproxy } from '../peers/haproxy.ts'
import { hostmesh, hostmeshRaw } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { atMost, format } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import type { Figure } from '../windows.ts'
import { methodOf } from './http1.ts'

/** Request of 1 KiB, answer of 1 KiB and its head. */
const padding = { 'x-padding': 'p'.repeat(960) }

export const tcp: Scenario = {
  name: 'tcp',
  title: 'TCP relay: CPU µs per 1 KB round trip, and per MiB of bulk',
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const started = await startPeers(
      [hostmesh, hostmeshRaw, haproxy, splicingHaproxy, envoy],
      oneWorker(options, origin.port, 'tcp'),
      options,
    )
    try {
      const contenders = started.peers.map(({ name, peer }) => ({ name, peer }))
      options.log('  round trips of 1 KB')
      const small = await runWindows(
        contenders.map((contender) => ({ ...contender, path: '/1k', headers: padding })),
        64,
        options,
      )
      options.log('  bulk of 1 MiB')
      const bulk = await runWindows(
        contenders.map((contender) => ({ ...contender, path: '/1m' })),
        8,
        options,
      )
      return {
        name: 'tcp',
        title: tcp.title,
        method: [
          ...methodOf(options),
          '64 connections for round trips, 8 for bulk; ratios to the cheaper HAProxy of each',
        ],
        columns: [
          'proxy',
          '1 KB median µs',
          'least',
          'to HAProxy',
          '1 MiB median µs',
          'least',
          'to HAProxy',
          'windows',
        ],
        rows: small.map((figure, index) => [
          figure.contender,
          format(figure.median),
          format(figure.least),
          format(ratioToHaproxy(small, figure.contender)),
          format(bulk[index]!.median),
          format(bulk[index]!.least),
          format(ratioToHaproxy(bulk, figure.contender)),
          `${figure.kept} and ${bulk[index]!.kept} of ${options.windows}`,
        ]),
        goals: [
          atMost('1 KB round trips against HAProxy', ratioToHaproxy(small, 'Hostmesh'), 1, 'x HAProxy'),
          atMost('1 MiB bulk against HAProxy', ratioToHaproxy(bulk, 'Hostmesh'), 1, 'x HAProxy'),
          ...againstEarlier('1 KB round trips', (name) => costOf(small, name)),
          ...againstEarlier('1 MiB bulk', (name) => costOf(bulk, name)),
        ],
        remarks: [...started.remarks, ...remarksOn([...small, ...bulk])],
        raw: { small, bulk },
      }
    } finally {
      await started.close()
      await origin.close()
    }
  },
}

function costOf(figures: readonly Figure[], name: string): number {
  return figures.find((figure) => figure.contender === name)?.median ?? NaN
}

/** Median cost against that of the cheaper HAProxy of the same run. */
export function ratioToHaproxy(figures: readonly Figure[], name: string): number {
  const ours = costOf(figures, name)
  const theirs = figures.filter((figure) => figure.contender.startsWith('HAProxy') && figure.kept > 0)
  return theirs.length === 0 ? NaN : ours / Math.min(...theirs.map((figure) => figure.median))
}
