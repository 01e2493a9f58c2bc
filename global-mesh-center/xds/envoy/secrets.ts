/**
 * SDS: the secrets of one proxy. `default` is its own certificate with its key, `ROOTCA` what peers are checked
 * against, as Istio's agents call them. Nothing of a key goes anywhere but into the response.
 */
import { encodeMessage } from '../../../contracts/envoy-api/encode.ts'
import type { AdapterDeps } from '../../../contracts/registry-adapter.ts'
import type { Asker } from '../../ca/grants.ts'
import type { WorkloadIssuer } from '../../ca/workload-issuer.ts'
import type { OnValue, ResourceSource } from '../resources.ts'
import { ownSecret, rootsSecret } from './mutual-tls.ts'
import { OwnSecret } from './own-secret.ts'

export const secretMessage = 'envoy.extensions.transport_sockets.tls.v3.Secret'

/** Who a client of discovery is, as far as it has proved it. */
export interface ProxyCaller {
  readonly asker: Asker | undefined
  /** For the log. */
  readonly from: string
  /** Nobody on the way can read what it is told: TLS, or loopback. */
  readonly isPrivate: boolean
}

export interface SecretsDeps extends Pick<AdapterDeps, 'clock' | 'random' | 'log'> {
  /** undefined = this center is no authority. */
  readonly issuer: WorkloadIssuer | undefined
  readonly caller: ProxyCaller
  /** SPIFFE id of the proxy; undefined = it has none. */
  readonly id: string | undefined
}

export class Secrets implements ResourceSource {
  private readonly deps: SecretsDeps
  private own: OwnSecret | undefined
  private issued: Buffer | undefined
  private onOwn: OnValue | undefined

  constructor(deps: SecretsDeps) {
    this.deps = deps
  }

  follow(name: string, onValue: OnValue): (() => void) | false {
    if (name !== ownSecret && name !== rootsSecret) return false
    const problem = this.problem(name)
    if (problem !== undefined) {
      this.deps.log.warn({}, `xds: ${this.deps.caller.from} asks for the secret ${name}: ${problem}`)
      return soon(() => onValue(undefined))
    }
    return name === rootsSecret ? this.followRoots(this.deps.issuer!, onValue) : this.followOwn(onValue)
  }

  close(): void {
    this.own?.close()
    this.issued = undefined
  }

  private problem(name: string): string | undefined {
    const { caller, id, issuer } = this.deps
    if (issuer === undefined) return 'this center is no certificate authority (ca in center.yaml)'
    if (name === rootsSecret) return undefined
    if (caller.asker === undefined) return 'its credentials are those of no host and no application'
    if (id === undefined)
      return 'node.metadata.identity is missing; allowed is ns/NAMESPACE/sa/ACCOUNT, granted to its host'
    return caller.isPrivate ? undefined : 'a key is told over TLS or loopback alone'
  }

  private followRoots(issuer: WorkloadIssuer, onValue: OnValue): () => void {
    // a bundle is not gone while the authority is not open
    const tell = (): void => {
      const { trustBundle } = issuer
      if (trustBundle === undefined) return
      const trusted = { trusted_ca: { inline_bytes: Buffer.from(trustBundle) } }
      onValue(encodeMessage(secretMessage, { name: rootsSecret, validation_context: trusted }))
    }
    const unwatch = issuer.watch(tell)
    const cancel = soon(tell)
    return () => {
      cancel()
      unwatch()
    }
  }

  /** One certificate for as long as the stream is open, however often it is asked for. */
  private followOwn(onValue: OnValue): () => void {
    const { caller, clock, id, issuer, log, random } = this.deps
    this.onOwn = onValue
    this.own ??= new OwnSecret({
      clock,
      random,
      log,
      issuer: issuer!,
      asker: caller.asker!,
      id: id!,
      from: caller.from,
      onIssued: ({ chain, key }) => {
        const pair = {
          certificate_chain: { inline_bytes: Buffer.from(chain) },
          private_key: { inline_bytes: Buffer.from(key) },
        }
        this.issued = encodeMessage(secretMessage, { name: ownSecret, tls_certificate: pair })
        this.onOwn?.(this.issued)
      },
    })
    const cancel = soon(() => {
      if (this.issued !== undefined) onValue(this.issued)
    })
    return () => {
      cancel()
      this.onOwn = undefined
    }
  }
}

function soon(call: () => void): () => void {
  const handle = setImmediate(call)
  return () => clearImmediate(handle)
}
