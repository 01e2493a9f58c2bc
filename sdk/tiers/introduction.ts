/**
 * What a center is told before the first byte of a connection: on whose behalf, what for, and the proof where one is
 * wanted.
 */
import { randomBytes } from 'node:crypto'
import { encodeProxyV2, relayTlvs } from '../../contracts/proxy-protocol.ts'
import type { ProxyHeader } from '../../contracts/proxy-protocol.ts'
import { encodeProvenHeader, readRelayKeys } from '../../contracts/relay-proof.ts'
import { proxyTlv } from '../../contracts/words.ts'
import type { Clock } from '../../contracts/clock.ts'
import { SecretFile } from '../../native/secret-file.ts'
import { MeshError } from '../../contracts/errors.ts'

export interface IntroductionDeps {
  readonly clock: Clock
  readonly application: string
  readonly secretFile: string | undefined
  /** Name of this host, and whether centers want a proof; undefined = no agent has ever spoken. */
  readonly host: () => { readonly host: string; readonly centersWantProof: boolean } | undefined
}

export class Introduction {
  private readonly deps: IntroductionDeps
  private readonly file: SecretFile<readonly Buffer[]> | undefined

  constructor(deps: IntroductionDeps) {
    this.deps = deps
    this.file =
      deps.secretFile === undefined
        ? undefined
        : new SecretFile(deps.secretFile, readRelayKeys, () => deps.clock.monotonic())
  }

  /** Why no center can be used. */
  get problem(): string | undefined {
    if (this.deps.host()?.centersWantProof !== true) return undefined
    if (this.file === undefined) return 'centers want a proof; set centerSecretFile'
    return this.file.get() === undefined ? this.file.problem : undefined
  }

  /**
   * service: '' = each request says so. The connection is the caller's own, so its addresses need no words. Throws
   * E_CENTER_UNREACHABLE where the proof cannot be given.
   */
  header(service: string, asksAcknowledgement: boolean): Buffer {
    const { application, clock, host } = this.deps
    const { problem } = this
    if (problem !== undefined) throw new MeshError('E_CENTER_UNREACHABLE', problem)
    const tlvs = [...relayTlvs({ service, host: host()?.host ?? '', listener: `sdk ${application}` })]
    if (asksAcknowledgement) tlvs.push({ type: proxyTlv.acknowledge, value: Buffer.alloc(0) })
    const header: ProxyHeader = {
      command: 'local',
      source: undefined,
      destination: undefined,
      tlvs,
    }
    const key = this.file?.get()?.[0]
    return key === undefined ? encodeProxyV2(header) : encodeProvenHeader(header, key, clock.wall(), randomBytes(16))
  }
}
