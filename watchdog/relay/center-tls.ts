/**
 * Mutual TLS towards centers, where the targets ask for it: the certificate of this host, which control has written
 * down before any failure. While it cannot be used no center is: what shall be secret never goes in plain instead.
 */
import type { ConnectionOptions } from 'node:tls'
import { maxRelayIdentityBytes, readRelayIdentity, towardsCenter } from '../../contracts/relay-identity.ts'
import type { RelayTargets } from '../../contracts/relay-targets.ts'
import { SecretFile } from '../../native/secret-file.ts'

export interface CenterTlsDeps {
  /** Absolute path of `relay-identity.json`. */
  readonly file: string
  readonly targets: () => RelayTargets | undefined
  /** Monotonic ms. */
  readonly now: () => number
}

export class CenterTls {
  private readonly deps: CenterTlsDeps
  private readonly file: SecretFile<ConnectionOptions>

  constructor(deps: CenterTlsDeps) {
    this.deps = deps
    this.file = new SecretFile(deps.file, readOptions, deps.now, maxRelayIdentityBytes)
  }

  /** Why no center can be used. */
  get problem(): string | undefined {
    return this.isWanted && this.file.get() === undefined ? this.file.problem : undefined
  }

  /** How centers are dialled; undefined = in plain. Asked only while there is no `problem`. */
  get options(): ConnectionOptions | undefined {
    return this.isWanted ? this.file.get() : undefined
  }

  private get isWanted(): boolean {
    return this.deps.targets()?.centerMtls === true
  }
}

/** One context for all connections: making it costs more than a handshake. */
function readOptions(text: string): ConnectionOptions {
  const { cert, key, ca, minVersion, ...rest } = towardsCenter(readRelayIdentity(text))
  const secureContext = process.getBuiltinModule('node:tls').createSecureContext({ cert, key, ca, minVersion })
  return { ...rest, secureContext }
}
