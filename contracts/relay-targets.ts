/**
 * `relay-targets.json`: written by control before any failure, read by the watchdog when no generation is healthy.
 * Written atomically (temporary file, fsync, rename); `checksum` is the lower-case hex sha256 of the JSON text of
 * `body`.
 */
import type { ServiceKey } from './endpoint.ts'
import type { FaceRelay } from './host-face.ts'
import type { AppProtocol } from './protocols.ts'
import type { HalfClosed, LimitsSpec, ListeningAddress } from './snapshot.ts'

export const relayTargetsFormat = 1

export interface RelayTargetsFile {
  readonly format: typeof relayTargetsFormat
  readonly checksum: string
  readonly body: RelayTargets
}

export interface RelayTargets {
  /** Epoch ms. */
  readonly writtenAt: number
  /** Name of this host, sent to the center as a TLV. */
  readonly host: string
  /** `host:port` of each center's relay port, in the order in which this host tries them (shuffled once per host). */
  readonly centers: readonly string[]
  readonly listeners: Readonly<Record<string, RelayListener>>
  /**
   * For the shared HTTP port in the direct tier: what a caller may name to the service's endpoints. At most 10,000
   * names.
   */
  readonly services: Readonly<Record<ServiceKey, readonly string[]>>
  readonly names: Readonly<Record<string, ServiceKey>>
  /** CIDR networks that `x-mesh-fallback` may name. */
  readonly fallbackNetworks: readonly string[]
  /** See `MeshSpec.ownAddresses`. Absent in files of older releases. */
  readonly ownAddresses?: readonly ListeningAddress[]
  /**
   * Those of the workers: what they refuse is refused by the relay. Absent in files of older releases: the defaults.
   */
  readonly limits?: LimitsSpec
  /** Absolute path of the secret that proves this host to the centers; the secret itself is never in here. */
  readonly centerSecretFile?: string | undefined
  /** Centers are called in mutual TLS, with `relay-identity.json`, and never without; absent: in plain. */
  readonly centerMtls?: boolean | undefined
  /** Absent = this host has no Nacos face, or no center that could stand for it. */
  readonly nacosFace?: FaceRelay | undefined
}

export interface RelayListener {
  readonly kind: 'shared-http' | 'service' | 'inbound'
  readonly protocol: AppProtocol
  readonly service: ServiceKey | undefined
  /** Whether the center may be used, and whether the last good endpoints may (MeshPolicy fallback). */
  readonly center: boolean
  readonly direct: boolean
  /**
   * `address:port` of the last good endpoints for the direct tier; the application's own port for inbound. At most 64.
   */
  readonly endpoints: readonly string[]
  /**
   * What an HTTP caller is that closes its side behind a whole request; absent in files of older releases: `answered`.
   */
  readonly halfClosed?: HalfClosed | undefined
  /** Of an inbound port: user id that must listen at the application's own port; absent = whoever listens there. */
  readonly applicationUser?: number | undefined
  /** Of an inbound port: callers may come in mutual TLS, which the relay cannot open; absent = in plain alone. */
  readonly mtls?: true | undefined
}
