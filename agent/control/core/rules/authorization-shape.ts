/**
 * Istio's AuthorizationPolicy (security.istio.io/v1). What would match nothing is refused, because a policy that says
 * less than it seems to is worse than none.
 */
import * as z from 'zod'
import { conditionKeyProblem, conditionProblem } from './authorization-conditions.ts'
import { matchProblem } from './authorization-values.ts'
import { checked, leaf, networks, nonEmptyList, oneOf, text } from './fields.ts'
import { pathTemplateProblem } from './path-template-problem.ts'
import { workloadScopeFields, workloadScopeProblem } from './workload-scope-shape.ts'

const maxValues = 1000

function matched(check: (value: string) => string | undefined = () => undefined) {
  return nonEmptyList(
    checked((value) => {
      const problem = matchProblem(value) ?? check(value as string)
      return problem === undefined ? { value: value as string } : { problem }
    }),
    maxValues,
  ).optional()
}

function principalProblem(value: string): string | undefined {
  return value.includes('://') ? 'allowed an identity without spiffe://, as Istio writes it' : undefined
}

function methodProblem(value: string): string | undefined {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value) ? undefined : 'not a method of HTTP'
}

function hostProblem(value: string): string | undefined {
  return /^[A-Za-z0-9*._:[\]$@/-]+$/.test(value) ? undefined : 'not a host'
}

const paths = () =>
  nonEmptyList(
    checked((value) => {
      const problem =
        typeof value === 'string' && value.includes('{') ? pathTemplateProblem(value) : matchProblem(value)
      if (problem !== undefined) return { problem }
      const path = value as string
      return path.startsWith('/') || path.startsWith('*')
        ? { value: path }
        : { problem: `found ${JSON.stringify(path.slice(0, 80))}, allowed a path that begins with / or *` }
    }),
    maxValues,
  ).optional()

const ports = () =>
  nonEmptyList(
    leaf('a port as text, like "8080"', (value) =>
      typeof value === 'string' && /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535 ? value : undefined,
    ),
    maxValues,
  ).optional()

const accounts = () =>
  nonEmptyList(
    leaf('an account like orders or prod/orders', (value) =>
      typeof value === 'string' && /^(?:[A-Za-z0-9._-]{1,253}\/)?[A-Za-z0-9._:$-]{1,253}$/.test(value)
        ? value
        : undefined,
    ),
    maxValues,
  ).optional()

function isNotEmpty(map: object, context: { addIssue(issue: string): void }): void {
  if (Object.keys(map).length === 0) context.addIssue('an empty map, allowed at least one field')
}

const source = () =>
  z
    .strictObject({
      principals: matched(principalProblem),
      notPrincipals: matched(principalProblem),
      requestPrincipals: matched(),
      notRequestPrincipals: matched(),
      namespaces: matched(),
      notNamespaces: matched(),
      serviceAccounts: accounts(),
      notServiceAccounts: accounts(),
      ipBlocks: networks().optional(),
      notIpBlocks: networks().optional(),
      remoteIpBlocks: networks().optional(),
      notRemoteIpBlocks: networks().optional(),
    })
    .superRefine(isNotEmpty)
    .superRefine((spec, context) => {
      const hasAccounts = spec.serviceAccounts !== undefined || spec.notServiceAccounts !== undefined
      const others = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'] as const
      const other = others.find((name) => spec[name] !== undefined)
      if (hasAccounts && other !== undefined) context.addIssue(`${other} beside serviceAccounts, allowed one of them`)
    })

const operation = () =>
  z
    .strictObject({
      hosts: matched(hostProblem),
      notHosts: matched(hostProblem),
      ports: ports(),
      notPorts: ports(),
      methods: matched(methodProblem),
      notMethods: matched(methodProblem),
      paths: paths(),
      notPaths: paths(),
    })
    .superRefine(isNotEmpty)

const condition = () =>
  z
    .strictObject({
      key: checked((value) => {
        const problem = conditionKeyProblem(value)
        return problem === undefined ? { value: value as string } : { problem }
      }),
      values: nonEmptyList(text(1, 2048), maxValues).optional(),
      notValues: nonEmptyList(text(1, 2048), maxValues).optional(),
    })
    .superRefine((spec, context) => {
      if (spec.values === undefined && spec.notValues === undefined)
        context.addIssue('found neither values nor notValues, allowed at least one')
      for (const list of ['values', 'notValues'] as const) {
        for (const [index, value] of (spec[list] ?? []).entries()) {
          const problem = conditionProblem(spec.key, value)
          if (problem !== undefined) context.addIssue({ code: 'custom', path: [list, index], message: problem })
        }
      }
    })

const rule = () =>
  z.strictObject({
    from: nonEmptyList(z.strictObject({ source: source() })).optional(),
    to: nonEmptyList(z.strictObject({ operation: operation() })).optional(),
    when: nonEmptyList(condition()).optional(),
  })

export const authorizationPolicyShape = () =>
  z
    .strictObject({
      ...workloadScopeFields(),
      action: oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM').optional(),
      provider: z.strictObject({ name: text(1, 253) }).optional(),
      rules: z.array(rule()).max(maxValues).nullable().optional(),
    })
    .superRefine(workloadScopeProblem)
    .superRefine((spec, context) => {
      if ((spec.action === 'CUSTOM') !== (spec.provider !== undefined))
        context.addIssue({
          code: 'custom',
          path: ['provider'],
          message: spec.provider === undefined ? 'missing, CUSTOM needs one' : 'allowed only beside the action CUSTOM',
        })
    })

export type AuthorizationPolicySpec = z.output<ReturnType<typeof authorizationPolicyShape>>
