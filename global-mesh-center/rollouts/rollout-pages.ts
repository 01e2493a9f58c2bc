/** Pages of a center's admin interface about roll-outs: `hostmesh rollout` asks them. */
import { jsonReply, type AdminPage } from '../../agent/control/admin/http.ts'
import { askAsOwner } from '../../agent/control/rules-api/ask-as-owner.ts'
import type { RolloutsApi } from './rollouts-api.ts'

const base = '/apis/hostmesh.io/v1'
const namePattern = /^[A-Za-z0-9._-]{1,300}$/

export function rolloutPages(api: RolloutsApi): AdminPage[] {
  return [
    {
      path: '/rollouts',
      method: 'GET',
      isOwnersOnly: true,
      help: 'roll-outs of rules: share, figures of the share and of the rest, how they ended and why',
      answer: () => askAsOwner(api, 'GET', `${base}/rollouts`, undefined),
    },
    {
      path: '/rollouts/start',
      method: 'POST',
      help: '{"namespace", "spec": {"rule", "hosts": {"percent": 10}, "observe": "2m", "limits"}}: begins a roll-out',
      answer: ({ body }) => {
        const { namespace, ...order } = Object(body) as Record<string, unknown>
        return (
          named({ namespace }) ?? askAsOwner(api, 'POST', `${base}/namespaces/${String(namespace)}/rollouts`, order)
        )
      },
    },
    {
      path: '/rollouts/stop',
      method: 'POST',
      help: '{"namespace", "name": "virtualservice.orders"}: takes a roll-out back, or forgets one that is over',
      answer: ({ body }) => {
        const { namespace, name } = Object(body) as Record<string, unknown>
        const path = `${base}/namespaces/${String(namespace)}/rollouts/${String(name)}`
        return named({ namespace, name }) ?? askAsOwner(api, 'DELETE', path, undefined)
      },
    },
  ]
}

/** A reply for names that are none. */
function named(words: Record<string, unknown>) {
  for (const [field, value] of Object.entries(words))
    if (typeof value !== 'string' || !namePattern.test(value))
      return jsonReply({ message: `${field}: found ${JSON.stringify(value)?.slice(0, 80)}, allowed a name` }, 400)
  return undefined
}
