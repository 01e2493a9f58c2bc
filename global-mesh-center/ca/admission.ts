/** Tokens, joined hosts and denials of the authority, kept in a document that several centers may share. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import { joinTokenText, type JoinTokenText } from '../../contracts/join-token.ts'
import { hostId, isHostName } from '../../contracts/spiffe-id.ts'
import {
  deniedHosts,
  hashOf,
  isDenied,
  joined,
  readAdmission,
  tokenOf,
  withDenial,
  withToken,
  withoutDenial,
  type AdmissionState,
  type Denial,
} from './admission-state.ts'
import { allowedName, deniedName, type DeniedKind } from './denied-name.ts'
import { changeDocument, type CaDocuments } from './documents.ts'
import { isIdentityPattern } from './grants.ts'

export interface TokenWishes {
  readonly host: string
  /** Patterns of identities, `ns/NAMESPACE/sa/ACCOUNT`. */
  readonly identities: readonly string[]
  readonly isReusable: boolean
  readonly lifetimeMs: number
}

export interface AdmissionView {
  readonly tokens: readonly { id: string; host: string; state: 'open' | 'used' | 'ended'; expiresAt: number }[]
  readonly hosts: readonly { host: string; joinedAt: number; identities: readonly string[] }[]
  readonly denied: readonly Denial[]
}

const maxIdentities = 256
const maxTokenLifetimeMs = 30 * 86_400_000
const maxReason = 200

export class Admission {
  private readonly documents: CaDocuments
  private readonly clock: Pick<Clock, 'wall'>
  private readonly trustDomain: string
  private state: AdmissionState
  /** Of the document that `state` was read from. */
  private text: string | undefined

  private readonly onDenied: (hosts: readonly string[]) => void

  private constructor(
    documents: CaDocuments,
    clock: Pick<Clock, 'wall'>,
    trustDomain: string,
    state: AdmissionState,
    onDenied: (hosts: readonly string[]) => void,
  ) {
    this.documents = documents
    this.clock = clock
    this.trustDomain = trustDomain
    this.onDenied = onDenied
    this.state = state
  }

  /**
   * `onDenied` is told the hosts that are denied, now and after each change. Rejects with E_CONFIG_INVALID, or with
   * what the store says.
   */
  static async open(
    documents: CaDocuments,
    clock: Pick<Clock, 'wall'>,
    trustDomain: string,
    onDenied: (hosts: readonly string[]) => void = () => {},
  ): Promise<Admission> {
    const found = await documents.read('admission')
    const state = readAdmission(found?.text, trustDomain)
    onDenied(deniedHosts(state))
    return new Admission(documents, clock, trustDomain, state, onDenied)
  }

  /**
   * Takes up what other centers wrote. A document that is gone takes nothing back, denials least of all: what is known
   * is written again. Rejects once then with E_CONFIG_INVALID, for people to hear of it.
   */
  async refresh(): Promise<void> {
    const text = (await this.documents.read('admission'))?.text
    if (text === undefined && this.isKnown) return this.restore()
    if (text === this.text) return
    this.take(readAdmission(text, this.trustDomain))
    this.text = text
  }

  /** The text is told once and not kept. Rejects with E_CA_REFUSED for wishes that are not allowed. */
  async makeToken(wishes: TokenWishes, pin: string): Promise<{ text: string; id: string; expiresAt: number }> {
    const { host, identities, isReusable, lifetimeMs } = wishes
    if (!isHostName(host))
      throw refused(
        `host: found "${host}", allowed letters, digits, dots, dashes, underscores, a letter or digit first`,
      )
    const bad = identities.find((one) => !isIdentityPattern(one))
    if (bad !== undefined)
      throw refused(`identities: found "${bad}", allowed ns/NAMESPACE/sa/ACCOUNT, each of the two with * at its end`)
    if (identities.length > maxIdentities) throw refused(`identities: ${identities.length}, allowed ${maxIdentities}`)
    if (!(lifetimeMs >= 1000 && lifetimeMs <= maxTokenLifetimeMs))
      throw refused(`lifetime: ${lifetimeMs} ms, allowed 1 s to 30 days`)
    const id = randomBytes(6).toString('hex')
    const secret = randomBytes(32).toString('base64url')
    const createdAt = this.clock.wall()
    const expiresAt = createdAt + lifetimeMs
    const made = { id, hash: hashOf(secret), host, identities: [...identities], isReusable, createdAt, expiresAt }
    await this.change((state) => withToken(state, made))
    return { text: joinTokenText({ id, secret, pin }), id, expiresAt }
  }

  /**
   * Whether the token may be used for this host now; it is not used by that. Rejects with E_CA_REFUSED by name. The
   * document is read where the token is not known here: another center may have made it.
   */
  async check(token: JoinTokenText, host: string): Promise<void> {
    const presented = { ...token, host }
    try {
      tokenOf(this.state, presented, this.clock.wall())
    } catch {
      await this.refresh()
      tokenOf(this.state, presented, this.clock.wall())
    }
  }

  /** Uses the token for this host. Rejects with E_CA_REFUSED by name; of two that use one at once, one is refused. */
  async join(token: JoinTokenText, host: string): Promise<void> {
    const now = this.clock.wall()
    await this.change((state) => joined(state, { ...token, host }, now))
  }

  /** What the token of a joined host granted; empty for a host that never joined here. */
  grantedTo(host: string): readonly string[] {
    return this.state.hosts[host]?.identities ?? []
  }

  /** A host is denied also by the name in its certificate. */
  denial(kind: DeniedKind, value: string): Denial | undefined {
    const own = isDenied(this.state, kind, this.nameOf(kind, value) ?? value)
    if (own !== undefined || kind !== 'host') return own
    return isDenied(this.state, 'identity', hostId(this.trustDomain, value))
  }

  /** Answers the name as it is compared. Rejects with E_CA_REFUSED for what nobody here can be called. */
  async deny(kind: DeniedKind, text: string, reason: string): Promise<string> {
    const value = this.nameOf(kind, text)
    if (value === undefined) {
      const found = JSON.stringify(text.slice(0, 200))
      throw refused(`${kind}: found ${found}, allowed ${allowedName(kind, this.trustDomain)}`)
    }
    const at = this.clock.wall()
    await this.change((state) => withDenial(state, { kind, value, reason: reason.slice(0, maxReason), at }))
    return value
  }

  /** Answers the name as it is compared. Rejects with E_CA_REFUSED where it is not denied as this kind. */
  async allow(kind: DeniedKind, text: string): Promise<string> {
    const value = this.nameOf(kind, text) ?? text
    await this.change((state) => {
      if (isDenied(state, kind, value) === undefined) throw refused(`${kind} ${value.slice(0, 200)} is not denied`)
      return withoutDenial(state, kind, value)
    })
    return value
  }

  view(): AdmissionView {
    const now = this.clock.wall()
    const { tokens, hosts, denied } = this.state
    return {
      tokens: tokens.map(({ id, host, usedAt, expiresAt, isReusable }) => ({
        id,
        host,
        state: usedAt !== undefined && !isReusable ? 'used' : now >= expiresAt ? 'ended' : 'open',
        expiresAt,
      })),
      hosts: Object.entries(hosts).map(([host, { joinedAt, identities }]) => ({ host, joinedAt, identities })),
      denied,
    }
  }

  private nameOf(kind: DeniedKind, text: string): string | undefined {
    return deniedName(kind, text, this.trustDomain)
  }

  private get isKnown(): boolean {
    const { denied, hosts, tokens } = this.state
    return denied.length > 0 || tokens.length > 0 || Object.keys(hosts).length > 0
  }

  private async restore(): Promise<void> {
    const { denied, hosts, tokens } = this.state
    const text = textOf(this.state)
    if (!(await this.documents.write('admission', text, undefined))) return
    this.text = text
    const counts = `${tokens.length} tokens, ${Object.keys(hosts).length} hosts, ${denied.length} denied`
    throw new MeshError('E_CONFIG_INVALID', `the stored admissions were gone; written again as known here (${counts})`)
  }

  private async change(step: (state: AdmissionState) => AdmissionState): Promise<void> {
    let next = this.state
    await changeDocument(this.documents, 'admission', (text) => {
      const present = text === undefined ? this.state : readAdmission(text, this.trustDomain)
      next = step(present)
      return next === present ? undefined : textOf(next)
    })
    this.take(next)
  }

  private take(state: AdmissionState): void {
    const isNews = state.denied !== this.state.denied
    this.state = state
    if (isNews) this.onDenied(deniedHosts(state))
  }
}

function textOf(state: AdmissionState): string {
  return `${JSON.stringify(state)}\n`
}

function refused(why: string): MeshError {
  return new MeshError('E_CA_REFUSED', why)
}
