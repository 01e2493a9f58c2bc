/**
 * Tokens of end users (RequestAuthentication): a request without one passes, with a bad one it is refused, with a good
 * one it goes on as its user, for authorization and the application. A token is verified once and then known by its
 * text (`token-cache.ts`); while it is verified the request waits.
 */
import type { AuthenticationSpec, JwtRuleSpec } from '../../../../contracts/authentication-spec.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import type { FilterSpec } from '../../../../contracts/route-spec.ts'
import type { Fields, HeaderEdits } from '../../route/fields.ts'
import type { RequestView } from '../../route/request-view.ts'
import { plainText, refusal, soonAgain } from '../answer.ts'
import type { Answer } from '../answer.ts'
import type { Filter, FilterContext, FilterVerdict, WaitCall, Waiter } from '../filter.ts'
import type { FilterKind } from '../kind.ts'
import { claimTexts } from '../../route/verified-token.ts'
import { badToken, Issuer } from './issuer.ts'
import type { BadToken, GoodToken } from './issuer.ts'
import { TokenCache } from './token-cache.ts'
import { maxTokenLength, placesOf, withoutCookie } from './token-place.ts'
import type { TokenPlace } from './token-place.ts'

type Entry = Extract<FilterSpec, { kind: 'jwt' }>

/** Tokens of one virtual host that are verified at the same time; more are refused for now. */
const maxVerifying = 1024
const verifyMs = 10_000

/** `wallClock`: epoch ms. */
export function jwtKind(wallClock: () => number): FilterKind<Entry, Filter> {
  const known = new WeakMap<AuthenticationSpec, Authentication>()
  return {
    kind: 'jwt',
    make(_entry, { authentication, host, route }) {
      if (authentication === undefined)
        throw new MeshError('E_SNAPSHOT_CORRUPT', `route ${route.name} of ${host} is to read tokens, by no rules`)
      const shared = known.get(authentication) ?? new Authentication(authentication, wallClock)
      known.set(authentication, shared)
      return new JwtFilter(shared)
    },
  }
}

/** The rules of a virtual host with what is known of tokens: its routes share it. */
class Authentication {
  readonly issuers: readonly Issuer[]
  readonly places: readonly { readonly place: TokenPlace; readonly issuers: readonly Issuer[] }[]
  readonly cache: TokenCache = new TokenCache()
  /** Of a request without a token: fields that only a verified one may bring. */
  readonly strip: HeaderEdits | null
  readonly wallClock: () => number
  /** Of tokens that are known, by their place: the same edits are the same object. */
  private readonly edits = new WeakMap<GoodToken, Map<TokenPlace, HeaderEdits | null>>()
  private readonly verifying = new Map<string, Promise<GoodToken | BadToken>>()

  constructor({ rules }: AuthenticationSpec, wallClock: () => number) {
    this.wallClock = wallClock
    this.issuers = rules.map((rule) => new Issuer(rule))
    this.places = distinctPlaces(this.issuers)
    const names = new Set(rules.flatMap(outputNames))
    this.strip = names.size === 0 ? null : { fields: [], drop: names }
  }

  editsFor(good: GoodToken, place: TokenPlace, view: RequestView): HeaderEdits | null {
    // what is left of the cookies is another thing in each request
    if (place.kind === 'cookie') return editsFor(good, place, this.strip, view)
    let known = this.edits.get(good)
    if (known === undefined) this.edits.set(good, (known = new Map()))
    let edits = known.get(place)
    if (edits === undefined) known.set(place, (edits = editsFor(good, place, this.strip, view)))
    return edits
  }

  /** Undefined: too many are verified already. */
  verify(text: string, issuers: readonly Issuer[]): Promise<GoodToken | BadToken> | undefined {
    const running = this.verifying.get(text)
    if (running !== undefined) return running
    if (this.verifying.size >= maxVerifying) return undefined
    const verified = this.verifyBy(text, issuers).then((found) => {
      this.verifying.delete(text)
      if ('token' in found) this.cache.add(text, found)
      return found
    })
    this.verifying.set(text, verified)
    return verified
  }

  private async verifyBy(text: string, issuers: readonly Issuer[]): Promise<GoodToken | BadToken> {
    const claimed = issuerIn(text)
    if (claimed === undefined)
      return badToken('Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections')
    let refusal = badToken('Jwt issuer is not configured')
    // several rules of one issuer: any of them may take the token
    for (const issuer of issuers) {
      if (issuer.rule.issuer !== claimed) continue
      const found = await issuer.verify(text, this.wallClock())
      if ('token' in found) return found
      refusal = found
    }
    return refusal
  }
}

class JwtFilter implements Filter {
  readonly kind = 'jwt'
  private readonly shared: Authentication

  constructor(shared: Authentication) {
    this.shared = shared
  }

  onRequest(context: FilterContext): FilterVerdict {
    const { shared } = this
    const found = findToken(context.view, shared)
    if (found === undefined) {
      if (shared.strip !== null) context.editRequest(shared.strip)
      return null
    }
    if ('reason' in found) return refusalFor(context.view, found)
    const { issuers, place, text } = found
    const known = shared.cache.find(text, shared.wallClock())
    if (known !== undefined && issuers.some(({ rule }) => rule === known.rule)) {
      this.accept(context, known, place)
      return null
    }
    const verified = shared.verify(text, issuers)
    if (verified === undefined) return overload()
    const call = new Verification(verified, (token) => this.accept(context, token, place), context.view)
    return { kind: 'wait', ms: verifyMs, flag: '-', call }
  }

  explain(view: RequestView): string {
    const found = findToken(view, this.shared)
    const names = this.shared.issuers.map(
      ({ rule }) => `${rule.issuer}${rule.keys === undefined ? ' (no keys yet)' : ''}`,
    )
    if (found === undefined) return `lets the request pass: it brings no token of ${names.join(', ')}`
    if ('reason' in found) return `refuses with ${found.status}: ${found.reason}`
    return `verifies the token in ${found.place.kind} ${found.place.name} against ${names.join(', ')}`
  }

  private accept(context: FilterContext, good: GoodToken, place: TokenPlace): void {
    context.token = good.token
    const edits = this.shared.editsFor(good, place, context.view)
    if (edits !== null) context.editRequest(edits)
  }
}

/** A request that waits for its token. */
class Verification implements WaitCall {
  readonly late: Answer = overload()
  private readonly verified: Promise<GoodToken | BadToken>
  private readonly accept: (token: GoodToken) => void
  private readonly view: RequestView
  private waiter: Waiter | null = null

  constructor(verified: Promise<GoodToken | BadToken>, accept: (token: GoodToken) => void, view: RequestView) {
    this.verified = verified
    this.accept = accept
    this.view = view
  }

  begin(waiter: Waiter): void {
    this.waiter = waiter
    void this.verified.then((found) => {
      const waiting = this.waiter
      this.waiter = null
      if (waiting === null) return
      if ('token' in found) {
        this.accept(found)
        waiting.resume(null)
      } else waiting.resume(refusalFor(this.view, found))
    })
  }

  cancel(): void {
    this.waiter = null
  }
}

interface FoundToken {
  readonly text: string
  readonly place: TokenPlace
  readonly issuers: readonly Issuer[]
}

/** Two different tokens are refused: nobody could tell which of them the application believes. */
function findToken(view: RequestView, { places }: Authentication): FoundToken | BadToken | undefined {
  let found: FoundToken | undefined
  for (const { issuers, place } of places) {
    const text = place.read(view)
    if (text === undefined) continue
    if (text.length > maxTokenLength) return badToken(`Jwt is longer than ${maxTokenLength} characters`)
    if (found === undefined) found = { text, place, issuers }
    else if (found.text !== text) return badToken('Jwt is in more than one place')
  }
  return found
}

function distinctPlaces(issuers: readonly Issuer[]): { place: TokenPlace; issuers: Issuer[] }[] {
  const places = new Map<string, { place: TokenPlace; issuers: Issuer[] }>()
  for (const issuer of issuers) {
    for (const place of placesOf(issuer.rule)) {
      const known = places.get(place.id)
      if (known === undefined) places.set(place.id, { place, issuers: [issuer] })
      else known.issuers.push(issuer)
    }
  }
  return [...places.values()]
}

function outputNames({ claimHeaders = [], payloadHeader }: JwtRuleSpec): string[] {
  return [...(payloadHeader === undefined ? [] : [payloadHeader]), ...claimHeaders.map(({ header }) => header)]
}

function editsFor(
  { claims, payload, rule, token }: GoodToken,
  place: TokenPlace,
  strip: HeaderEdits | null,
  view: RequestView,
): HeaderEdits | null {
  const fields: (readonly [string, string])[] = []
  const drop = new Set(strip?.drop)
  if (rule.payloadHeader !== undefined) fields.push([rule.payloadHeader, payload])
  for (const { claim, header } of rule.claimHeaders ?? []) {
    const value = claimTexts({ ...token, claims }, claim).join(',')
    if (value !== '' && isFieldValue(value)) fields.push([header, value])
  }
  if (rule.forwardsToken !== true) dropToken(place, view, fields, drop)
  return drop.size + fields.length === 0 ? null : { fields: fields as Fields, drop }
}

/** A token in the query stays there: the target of a request is not a filter's to change. */
function dropToken(
  place: TokenPlace,
  view: RequestView,
  fields: (readonly [string, string])[],
  drop: Set<string>,
): void {
  if (place.kind === 'header') drop.add(place.name)
  if (place.kind !== 'cookie') return
  drop.add('cookie')
  const rest = withoutCookie(view, place.name)
  if (rest !== '') fields.push(['cookie', rest])
}

/** What an issuer says must not end a field. */
function isFieldValue(value: string): boolean {
  return value.length <= 8192 && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)
}

/** The issuer that a token names, before anything of it is believed. */
function issuerIn(text: string): string | undefined {
  const [, payload, , rest] = text.split('.')
  if (payload === undefined || rest !== undefined) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    const issuer = typeof claims === 'object' && claims !== null && 'iss' in claims ? claims.iss : ''
    return typeof issuer === 'string' ? issuer : ''
  } catch {
    return undefined
  }
}

function refusalFor(view: RequestView, { reason, status }: BadToken): Answer {
  const realm = `${view.scheme}://${view.authority}${view.path}`.replace(/[^\x21\x23-\x5b\x5d-\x7e]/g, '')
  const error = status === 401 ? ', error="invalid_token"' : ''
  return {
    kind: 'answer',
    status,
    code: 'E_TOKEN_REFUSED',
    flag: '-',
    fields: [...plainText, ['www-authenticate', `Bearer realm="${realm.slice(0, 256)}"${error}`]],
    body: Buffer.from(reason, 'utf8'),
    details: `jwt_authn_access_denied{${reason.replaceAll(' ', '_')}}`,
  }
}

function overload(): Answer {
  return refusal(503, 'E_OVERLOAD', 'OM', 'too many tokens are being verified', soonAgain)
}
