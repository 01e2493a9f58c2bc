/** Questions to the node that served this page: the same paths, tokens and answers as for other programs. */

export class ApiProblem extends Error {
  readonly status: number
  /** Places and reasons, of a rule that is not valid. */
  readonly causes: readonly { readonly field: string; readonly message: string }[]

  constructor(status: number, message: string, causes: ApiProblem['causes'] = []) {
    super(message)
    this.status = status
    this.causes = causes
  }
}

export interface Reply<T> {
  readonly body: T
  readonly warnings: readonly string[]
}

const tokenKey = 'hostmesh.token'
const timeoutMs = 15_000
let onDenied: (why: string, hadToken: boolean) => void = () => undefined

/** Hears that the token is missing or not good (any more). */
export function whenDenied(call: (why: string, hadToken: boolean) => void): void {
  onDenied = call
}

/** Kept by the browser for this tab, until it is closed. */
export function keepToken(token: string | undefined): void {
  if (token === undefined) sessionStorage.removeItem(tokenKey)
  else sessionStorage.setItem(tokenKey, token)
}

/** What a header can carry: letters, digits and signs of ASCII, no space. */
export function isToken(token: string): boolean {
  return /^[\x21-\x7e]+$/.test(token)
}

export function hasToken(): boolean {
  return sessionStorage.getItem(tokenKey) !== null
}

/** `path` below `data/` of the console, or one of the API, which begins with a slash. Rejects with ApiProblem. */
export async function data<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await ask<T>('GET', path.startsWith('/') ? path : `data/${path}`, undefined, undefined, signal)).body
}

/** Rejects with ApiProblem: what was refused and why, or status 0 when nobody answered. */
export async function ask<T>(
  method: string,
  path: string,
  body?: string,
  contentType?: string,
  signal?: AbortSignal,
): Promise<Reply<T>> {
  const token = sessionStorage.getItem(tokenKey)
  if (token !== null && !isToken(token)) throw denied('the token cannot be one', true)
  const headers = new Headers()
  if (token !== null) headers.set('authorization', `Bearer ${token}`)
  if (contentType !== undefined) headers.set('content-type', contentType)
  const signals = [AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]
  let answer: Response
  let text: string
  try {
    answer = await fetch(path, {
      method,
      headers,
      signal: AbortSignal.any(signals),
      ...(body === undefined ? {} : { body }),
    })
    text = await answer.text()
  } catch (error) {
    throw new ApiProblem(0, error instanceof Error ? error.message : String(error))
  }
  const parsed = parse(text)
  if (answer.ok) {
    const warnings = [...(answer.headers.get('warning') ?? '').matchAll(/299 - ("(?:[^"\\]|\\.)*")/g)]
    return { body: parsed as T, warnings: warnings.map(([, quoted]) => String(parse(quoted!))) }
  }
  const said = Object(parsed) as { message?: string; error?: string; details?: { causes?: ApiProblem['causes'] } }
  const message = said.message ?? said.error ?? text.slice(0, 500)
  if (answer.status === 401) throw denied(message, token !== null)
  throw new ApiProblem(answer.status, message, said.details?.causes ?? [])
}

function denied(why: string, hadToken: boolean): ApiProblem {
  keepToken(undefined)
  onDenied(why, hadToken)
  return new ApiProblem(401, why)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
