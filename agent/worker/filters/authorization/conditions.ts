/**
 * One condition of a rule, as a test of a subject. What a caller writes can be read in more than one way, and a rule
 * may be `wide` or narrow: a wide one (DENY, AUDIT) holds if any reading matches, a narrow one (ALLOW) only if every
 * reading does; for what must not match it is the other way round.
 */
import type { ConditionSpec } from '../../../../contracts/authorization-spec.ts'
import { subnetSet } from '../../../../contracts/subnet.ts'
import { wireText, withoutBlanks } from '../../../../contracts/wire-text.ts'
import { claimTexts } from '../../route/verified-token.ts'
import type { Subject } from './subject.ts'
import { textSet } from './text-set.ts'
import type { TextSet } from './text-set.ts'

export type Test = (subject: Subject) => boolean

/** `some`: any reading of the subject is among the values; otherwise every one has to be. */
type Field = (values: readonly string[], some: boolean) => Test

export interface FieldTests {
  /** Only requests have it. */
  readonly isHttp: boolean
  readonly test: Field
}

function oneText(read: (subject: Subject) => string): Field {
  return (values) => {
    const set = textSet(values)
    return (subject) => set.has(read(subject))
  }
}

function network(read: (subject: Subject) => string): Field {
  return (values) => {
    const set = subnetSet(values)
    return (subject) => set.has(read(subject))
  }
}

const port: Field = (values) => {
  const ports = new Set(values.map(Number))
  return (subject) => ports.has(subject.destinationPort)
}

/** Methods have a case, and applications that forget it. */
const method: Field = (values, some) => {
  const set = textSet(values, some)
  return some
    ? (subject) => set.has(subject.request!.method.toLowerCase())
    : (subject) => set.has(subject.request!.method)
}

const path: Field = (values, some) => {
  const set = textSet(values, some, true)
  return some ? (subject) => anyOf(subject.lowerPaths, set) : (subject) => everyOf(subject.paths, set)
}

function anyOf(readings: readonly string[] | null, set: TextSet): boolean {
  if (readings === null) return true
  for (const reading of readings) if (set.has(reading)) return true
  return false
}

function everyOf(readings: readonly string[] | null, set: TextSet): boolean {
  if (readings === null) return false
  for (const reading of readings) if (!set.has(reading)) return false
  return true
}

/** A value without a port is about the name, whatever port stands behind it. */
const host: Field = (values) => {
  const hasPort = (value: string): boolean => /:(?:\d+|\*)$/.test(value)
  const names = textSet(
    values.filter((one) => !hasPort(one)),
    true,
  )
  const authorities = textSet(values.filter(hasPort), true)
  return (subject) => names.has(subject.hostName) || authorities.has(subject.request!.authority)
}

const requestPrincipal: Field = oneText(({ token }) => token?.principal ?? '')

/** Text of a head that rules ask for as if it was a field. */
const headParts: Readonly<Record<string, (subject: Subject) => string>> = {
  ':method': ({ request }) => request!.method,
  ':path': ({ request }) => request!.path + (request!.query === '' ? '' : `?${request!.query}`),
  ':authority': ({ request }) => request!.authority,
  host: ({ request }) => request!.authority,
}

/**
 * A field that came more than once, or as a list, is every one of its parts as well. Its value is bytes: those of a
 * rule's text are its UTF-8.
 */
function header(name: string): Field {
  const part = Object.hasOwn(headParts, name) ? headParts[name] : undefined
  const read = part ?? (({ request }: Subject) => request!.headerValues(name))
  return (values, some) => {
    const set = textSet(part === undefined ? values.map(wireText) : values)
    const takesEmpty = some && values.includes('*')
    return (subject) => {
      const value = read(subject)
      if (value === undefined) return false
      if (takesEmpty || set.has(value)) return true
      return some && value.includes(',') && value.split(',').some((one) => set.has(withoutBlanks(one)))
    }
  }
}

function claim(path: readonly string[]): Field {
  return (values) => {
    const set = textSet(values)
    return ({ token }) => token !== null && claimTexts(token, path).some((text) => set.has(text))
  }
}

const source = (test: Field): FieldTests => ({ isHttp: false, test })
const http = (test: Field): FieldTests => ({ isHttp: true, test })

const sourceAddress = network((subject) => subject.sourceAddress)
const principal = oneText((subject) => subject.principal)
const namespace = oneText((subject) => subject.namespace)
const serviceAccount = oneText((subject) => subject.serviceAccount)

/** Fields of `source` and `operation`, each with the one that says what must not match. */
export const matchFields = {
  principals: { not: 'notPrincipals', ...source(principal) },
  requestPrincipals: { not: 'notRequestPrincipals', ...http(requestPrincipal) },
  namespaces: { not: 'notNamespaces', ...source(namespace) },
  serviceAccounts: { not: 'notServiceAccounts', ...source(serviceAccount) },
  ipBlocks: { not: 'notIpBlocks', ...source(sourceAddress) },
  remoteIpBlocks: { not: 'notRemoteIpBlocks', ...source(sourceAddress) },
  hosts: { not: 'notHosts', ...http(host) },
  ports: { not: 'notPorts', ...source(port) },
  methods: { not: 'notMethods', ...http(method) },
  paths: { not: 'notPaths', ...http(path) },
} as const

const conditionFields: Readonly<Record<string, FieldTests>> = {
  'source.ip': source(sourceAddress),
  'remote.ip': source(sourceAddress),
  'source.namespace': source(namespace),
  'source.principal': source(principal),
  'source.serviceAccount': source(serviceAccount),
  'destination.ip': source(network((subject) => subject.destinationAddress)),
  'destination.port': source(port),
  'request.auth.principal': http(requestPrincipal),
  'request.auth.audiences': http(claim(['aud'])),
  'request.auth.presenter': http(claim(['azp'])),
}

/** Of a key that control has checked; undefined for one of a newer control, which matches nothing. */
export function conditionField(key: string): FieldTests | undefined {
  if (Object.hasOwn(conditionFields, key)) return conditionFields[key]
  const [, name] = /^request\.headers\[([^\]]+)\]$/.exec(key) ?? []
  if (name !== undefined) return http(header(name.toLowerCase()))
  if (!key.startsWith('request.auth.claims[')) return undefined
  return http(claim([...key.matchAll(/\[([^\]]*)\]/g)].map(([, part]) => part!)))
}

/** `values` and `notValues` of a field as one test. */
export function fieldTest(
  { test }: FieldTests,
  { notValues, values }: Pick<ConditionSpec, 'notValues' | 'values'>,
  isWide: boolean,
): Test {
  const isIn = values === undefined ? undefined : test(values, isWide)
  const isOut = notValues === undefined ? undefined : test(notValues, !isWide)
  if (isIn === undefined) return isOut === undefined ? () => true : (subject) => !isOut(subject)
  return isOut === undefined ? isIn : (subject) => isIn(subject) && !isOut(subject)
}
