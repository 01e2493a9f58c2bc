/**
 * Which workloads a policy of security.istio.io is about: all of its namespace, those with labels, or services by name.
 */
import * as z from 'zod'
import { asDoneAnyway, labels, leaf, nonEmptyList, text } from './fields.ts'

const name = () => text(1, 253)

const target = () =>
  z
    .strictObject({
      group: asDoneAnyway('the group of the kind', '', 'core', 'networking.istio.io'),
      kind: leaf('Service or ServiceEntry; a gateway is chosen by selector', (value) =>
        value === 'Service' || value === 'ServiceEntry' ? value : undefined,
      ),
      name: name(),
      namespace: name().optional(),
    })
    .superRefine(({ group = '', kind }, context) => {
      const isIstio = group === 'networking.istio.io'
      if (isIstio !== (kind === 'ServiceEntry'))
        context.addIssue(
          `${kind} of group ${JSON.stringify(group)}, allowed Service of "" or ServiceEntry of networking.istio.io`,
        )
    })

export const workloadScopeFields = () => ({
  selector: z.strictObject({ matchLabels: labels().optional() }).optional(),
  targetRef: target().optional(),
  targetRefs: nonEmptyList(target(), 16).optional(),
})

interface Scope {
  readonly selector?: unknown
  readonly targetRef?: unknown
  readonly targetRefs?: unknown
}

export function workloadScopeProblem(spec: Scope, context: { addIssue(issue: string): void }): void {
  const given = (['selector', 'targetRef', 'targetRefs'] as const).filter((field) => spec[field] !== undefined)
  if (given.length > 1) context.addIssue(`found ${given.join(' and ')}, allowed one of them`)
}

export type WorkloadScope = z.output<z.ZodObject<ReturnType<typeof workloadScopeFields>>>
