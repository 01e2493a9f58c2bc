/**
 * The authority that a center makes on its first start and keeps in a document. Several centers with one document are
 * one authority: who is faster makes a step, the others read it.
 */
import { MeshError } from '../../contracts/errors.ts'
import type { Clock } from '../../contracts/clock.ts'
import { backdateMs, type Authority, type AuthorityView, type IssuedLeaf, type LeafWishes } from './authority.ts'
import {
  beginRotation,
  issuingRoot,
  newState,
  nextState,
  readState,
  signerFor,
  writeState,
  type AuthorityState,
  type Lifetimes,
} from './authority-state.ts'
import { changeDocument, type CaDocuments } from './documents.ts'
import type { KeyBox } from './key-box.ts'
import { makeLeaf, type Signer } from './x509/certificate.ts'
import { pinOf } from '../../contracts/certificate-pin.ts'

export interface MadeAuthorityDeps {
  readonly documents: CaDocuments
  readonly box: KeyBox
  readonly clock: Pick<Clock, 'wall'>
  readonly trustDomain: string
  readonly lifetimes: Lifetimes
}

export class MadeAuthority implements Authority {
  private readonly deps: MadeAuthorityDeps
  private state: AuthorityState
  private signer: Signer
  /** Of the document that `state` was read from, so that an unchanged one is not opened again. */
  private text: string | undefined

  private constructor(deps: MadeAuthorityDeps, state: AuthorityState) {
    this.deps = deps
    this.state = state
    this.signer = signerFor(state.intermediate)
  }

  /** Reads it, or makes it where there is none. Rejects with E_CONFIG_INVALID, or with what the store says. */
  static async open(deps: MadeAuthorityDeps): Promise<MadeAuthority> {
    const { documents, clock, trustDomain, lifetimes, box } = deps
    let state: AuthorityState | undefined
    await changeDocument(documents, 'authority', (text) => {
      if (text !== undefined) {
        state = readState(text, box, trustDomain)
        return undefined
      }
      state = newState(trustDomain, clock.wall(), lifetimes)
      return writeState(state, box)
    })
    return new MadeAuthority(deps, state!)
  }

  get trustBundle(): string {
    return this.state.roots.map((root) => root.certificate).join('')
  }

  issue({ publicKey, uri, dnsNames, addresses, lifetimeMs, origin }: LeafWishes): IssuedLeaf {
    const { intermediate } = this.state
    const now = this.deps.clock.wall()
    const notAfter = Math.min(now + lifetimeMs, intermediate.notAfter)
    if (notAfter <= now) throw new MeshError('E_CA_REFUSED', 'the certificate of the authority has ended')
    const wishes = { publicKey, uris: [uri], dnsNames: dnsNames ?? [], addresses: addresses ?? [], origin }
    const leaf = makeLeaf({ ...wishes, notBefore: now - backdateMs(lifetimeMs), notAfter }, this.signer)
    return { chain: leaf.pem + intermediate.certificate, serial: leaf.serial, notAfter: leaf.notAfter }
  }

  view(): AuthorityView {
    const { roots, rotation, intermediate } = this.state
    const { spreadMs, overlapMs } = this.deps.lifetimes
    const issuing = issuingRoot(this.state)
    return {
      source: 'made',
      roots: roots.map((root) => ({
        pin: pinOf(root.certificate),
        notAfter: root.notAfter,
        isIssuing: root === issuing,
      })),
      issuerNotAfter: intermediate.notAfter,
      rotation:
        rotation === undefined
          ? undefined
          : rotation.switchedAt === undefined
            ? { phase: 'spreading', nextStepAt: rotation.startedAt + spreadMs }
            : { phase: 'overlapping', nextStepAt: rotation.switchedAt + overlapMs },
    }
  }

  async advance(): Promise<void> {
    await this.change((state) => nextState(state, this.deps.clock.wall(), this.deps.lifetimes))
  }

  async rotate(): Promise<void> {
    await this.change((state) => beginRotation(state, this.deps.clock.wall(), this.deps.lifetimes))
  }

  /** Also takes up what another center wrote. */
  private async change(step: (state: AuthorityState) => AuthorityState): Promise<void> {
    const { documents, box, trustDomain } = this.deps
    let next = this.state
    await changeDocument(documents, 'authority', (text) => {
      // the document was there at the start; one that vanished is written again
      const isKnown = text === undefined || text === this.text
      const present = isKnown ? this.state : readState(text, box, trustDomain)
      next = step(present)
      if (next === present && text !== undefined) {
        this.text = text
        return undefined
      }
      this.text = writeState(next, box)
      return this.text
    })
    if (next === this.state) return
    this.signer = signerFor(next.intermediate)
    this.state = next
  }
}
