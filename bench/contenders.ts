/**
 * Starts the peers of a scenario; one that is missing or does not start becomes a remark by name, never a silent gap.
 */
import { earlier } from './peers/earlier.ts'
import { envoy } from './peers/envoy.ts'
import { haproxy } from './peers/haproxy.ts'
import { hostmesh, hostmeshRaw } from './peers/hostmesh.ts'
import { httpProxy3 } from './peers/http-proxy-3.ts'
import { nginx } from './peers/nginx.ts'
import type { Peer, PeerOptions, RunningPeer } from './peers/peer.ts'
import type { BenchOptions } from './scenario.ts'

export const allPeers: readonly Peer[] = [hostmesh, hostmeshRaw, haproxy, nginx, envoy, httpProxy3]

export interface Started {
  readonly peers: readonly { readonly name: string; readonly version: string; readonly peer: RunningPeer }[]
  readonly remarks: readonly string[]
  close(): Promise<void>
}

export async function startPeers(
  peers: readonly Peer[],
  peerOptions: PeerOptions,
  options: BenchOptions,
): Promise<Started> {
  const started: { name: string; version: string; peer: RunningPeer }[] = []
  const remarks: string[] = []
  const contenders = peers.flatMap((peer) =>
    peer === hostmesh && options.earlier !== undefined ? [peer, earlier(options.earlier)] : [peer],
  )
  for (const peer of contenders) {
    if (!peer.modes.includes(peerOptions.mode)) continue
    if (options.peers !== undefined && !options.peers.includes(peer.name.toLowerCase().split(' ', 1)[0]!)) {
      remarks.push(`${peer.name}: not asked for`)
      continue
    }
    const version = peer.version()
    if (version === undefined) {
      remarks.push(`${peer.name}: not on this machine; ${peer.missing}`)
      continue
    }
    try {
      started.push({ name: peer.name, version, peer: await peer.start(peerOptions) })
    } catch (error) {
      remarks.push(`${peer.name}: did not start: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return {
    peers: started,
    remarks,
    close: async () => {
      for (const { peer } of started) await peer.close()
    },
  }
}
