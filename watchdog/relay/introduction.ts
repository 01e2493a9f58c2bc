/**
 * What the relay says to a center before the first byte of a connection: who calls, what for, and the proof that this
 * host knows the mesh's secret.
 */
import { randomBytes } from 'node:crypto'
import { encodeProxyV2, relayTlvs } from '../../contracts/proxy-protocol.ts'
import type { ProxyHeader } from '../../contracts/proxy-protocol.ts'
import { encodeProvenHeader, readRelayKeys } from '../../contracts/relay-proof.ts'
import type { RelayTargets } from '../../contracts/relay-targets.ts'
import { proxyTlv } from '../../contracts/words.ts'
import { SecretFile } from '../../native/secret-file.ts'
import type { Wire } from './wire.ts'

export interface About {
  readonly service: string
  readonly listener: string
  /** The center shall say that it goes on before anything is sent. */
  readonly asksAcknowledgement: boolean
}

export interface IntroductionDeps {
  readonly targets: () => RelayTargets | undefined
  /** Epoch ms. */
  readonly wallClock: () => number
  /** Monotonic ms. */
  readonly now: () => number
}

export class Introduction {
  private readonly deps: IntroductionDeps
  private file: SecretFile<readonly Buffer[]> | undefined

  constructor(deps: IntroductionDeps) {
    this.deps = deps
  }

  /** Why no center can be used: its secret is not to be had. */
  get problem(): string | undefined {
    const { file } = this
    return file === undefined || this.key() !== undefined ? undefined : file.problem
  }

  /** Looks at the targets again: another secret may be named there. */
  refresh(): void {
    const path = this.deps.targets()?.centerSecretFile
    if (path === this.file?.path) return
    this.file = path === undefined ? undefined : new SecretFile(path, readRelayKeys, this.deps.now)
  }

  /** caller: undefined = the watchdog asks for itself. */
  header(caller: Wire['peer'] | undefined, about: About): Buffer {
    const tlvs = [...relayTlvs({ ...about, host: this.deps.targets()?.host ?? '' })]
    if (about.asksAcknowledgement) tlvs.push({ type: proxyTlv.acknowledge, value: Buffer.alloc(0) })
    const header: ProxyHeader = {
      command: caller === undefined ? 'local' : 'proxy',
      source: caller === undefined ? undefined : { address: caller.address, port: caller.port },
      destination: caller === undefined ? undefined : { address: caller.localAddress, port: caller.localPort },
      tlvs,
    }
    const key = this.key()
    return key === undefined
      ? encodeProxyV2(header)
      : encodeProvenHeader(header, key, this.deps.wallClock(), randomBytes(16))
  }

  private key(): Buffer | undefined {
    return this.file?.get()?.[0]
  }
}
