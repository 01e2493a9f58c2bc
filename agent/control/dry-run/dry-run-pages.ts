/**
 * Pages of the admin interface about dry runs, of an agent and of a center alike: `hostmesh rules dry-run` asks them.
 */
import type { DryRunOrder, DryRunView } from '../../../contracts/dry-run.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { jsonReply, textReply, type AdminPage } from '../admin/http.ts'
import { randomUUID } from 'node:crypto'

export interface DryRunPagesDeps {
  /** Of the newest one; undefined = there was none. */
  view(): DryRunView | undefined
  /** Rejects with MeshError. */
  start(order: DryRunOrder, user: string): Promise<DryRunView>
  stop(): Promise<DryRunView | undefined>
}

export function dryRunPages({ view, start, stop }: DryRunPagesDeps): AdminPage[] {
  return [
    {
      path: '/rules/dry-run',
      method: 'GET',
      isOwnersOnly: true,
      help: 'the newest dry run of a rule: requests that would go elsewhere, be refused, wait, time out otherwise',
      answer: () => jsonReply({ dryRun: view() ?? null }),
    },
    {
      path: '/rules/dry-run',
      method: 'POST',
      help: '{"rule": "YAML", "share": 0.1, "ms": 60000}: evaluates a rule beside those in force, without effect',
      answer: async ({ body }) => {
        const { rule, share, ms } = Object(body) as Record<string, unknown>
        if (typeof rule !== 'string')
          throw new MeshError('E_ADMIN_REQUEST', 'rule: missing, allowed a rule in YAML or JSON')
        const known = view()
        if (known?.state === 'running')
          return textReply(
            `a dry run of ${known.rule} by ${known.user} is under way; POST /rules/dry-run/stop ends it`,
            409,
          )
        const order = { id: randomUUID(), rule, share: Number(share ?? 0.1), ms: Number(ms ?? 60_000) }
        return jsonReply({ dryRun: await start(order, 'an operator of this machine') })
      },
    },
    {
      path: '/rules/dry-run/stop',
      method: 'POST',
      help: 'ends the dry run under way; what it found stays to be read',
      answer: async () => jsonReply({ dryRun: (await stop()) ?? null }),
    },
  ]
}
