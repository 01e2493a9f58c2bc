/** Where tokens stand in a request. */
import type { JwtRuleSpec } from '../../../../contracts/authentication-spec.ts'
import { withoutBlanks } from '../../../../contracts/wire-text.ts'
import type { RequestView } from '../../route/request-view.ts'

/** Longest token, in characters. */
export const maxTokenLength = 16_384

export interface TokenPlace {
  readonly kind: 'header' | 'param' | 'cookie'
  readonly name: string
  /** The same for the same place. */
  readonly id: string
  /** The token there; undefined = none. A field that came twice is none of the forms that a token has. */
  read(view: RequestView): string | undefined
}

export function placesOf(rule: JwtRuleSpec): TokenPlace[] {
  return [
    ...rule.fromHeaders.map(({ name, prefix }): TokenPlace => ({
      kind: 'header',
      name,
      id: `header ${name} ${prefix}`,
      read: (view) => behind(view.headerValues(name), prefix),
    })),
    ...rule.fromParams.map((name): TokenPlace => ({
      kind: 'param',
      name,
      id: `param ${name}`,
      read: (view) => parameterOf(view.query, name),
    })),
    ...rule.fromCookies.map((name): TokenPlace => ({
      kind: 'cookie',
      name,
      id: `cookie ${name}`,
      read: (view) => cookieOf(view, name),
    })),
  ]
}

/** Schemes have no case (RFC 9110 section 11.1): `bearer` is `Bearer`. */
function behind(value: string | undefined, prefix: string): string | undefined {
  if (value === undefined) return undefined
  if (value.slice(0, prefix.length).toLowerCase() !== prefix.toLowerCase()) return undefined
  return value.slice(prefix.length).trim()
}

/** All values of a parameter joined: a second one spoils the token instead of being overlooked. */
function parameterOf(query: string, name: string): string | undefined {
  const values = query.split('&').filter((part) => part.startsWith(`${name}=`))
  return values.length === 0 ? undefined : values.map((part) => part.slice(name.length + 1)).join(',')
}

/** Cookies of one name joined, so that a second one spoils the token instead of being overlooked. */
function cookieOf(view: RequestView, name: string): string | undefined {
  const values = cookies(view).filter((one) => one.name === name)
  return values.length === 0 ? undefined : values.map((one) => one.value).join(',')
}

function cookies(view: RequestView): { name: string; value: string; text: string }[] {
  const field = view.headerValues('cookie')
  if (field === undefined) return []
  return field.split(/[;,]/).map((part) => {
    const text = withoutBlanks(part)
    const equals = text.indexOf('=')
    return equals < 0
      ? { name: text, value: '', text }
      : {
          name: text.slice(0, equals).trim(),
          value: text
            .slice(equals + 1)
            .trim()
            .replace(/^"(.*)"$/, '$1'),
          text,
        }
  })
}

/** The field without this cookie; empty = nothing is left. */
export function withoutCookie(view: RequestView, name: string): string {
  return cookies(view)
    .filter((one) => one.name !== name && one.text !== '')
    .map((one) => one.text)
    .join('; ')
}
