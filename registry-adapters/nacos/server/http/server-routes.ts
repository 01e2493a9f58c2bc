/** Logins, and what clients and probes ask about the server itself. */
import type { Auth } from '../auth.ts'
import type { Handler, Routes } from './exchange.ts'
import { json, param, result, text } from './exchange.ts'

/** The server line whose behaviour is offered; clients branch on abilities, people read this. */
const serverVersion = '2.3.1'

/** Routes that need no credentials. */
export const openRoutes: ReadonlySet<string> = new Set([
  'POST /v1/auth/login',
  'POST /v1/auth/users/login',
  'POST /v3/auth/user/login',
  'GET /v1/ns/operator/metrics',
  'GET /v2/ns/operator/metrics',
  'GET /v1/console/health/readiness',
  'GET /v1/console/health/liveness',
  'GET /v2/console/health/readiness',
  'GET /v2/console/health/liveness',
  'GET /v3/admin/core/state/readiness',
  'GET /v3/admin/core/state/liveness',
  'GET /v1/console/server/state',
  'GET /v3/admin/core/state',
])

export function serverRoutes(auth: Auth): Routes {
  const login: Handler = async (request) => {
    const answer = auth.login(param(request, 'username'), param(request, 'password'))
    return json(answer, 200, { Authorization: `Bearer ${answer.accessToken}` })
  }
  const state: Handler = async () =>
    json({
      version: serverVersion,
      standalone_mode: 'standalone',
      function_mode: null,
      auth_enabled: String(auth.isOn),
    })
  const ready: Handler = async () => text('OK')
  const readyResult: Handler = async () => result('ok')
  return {
    'POST /v1/auth/login': login,
    'POST /v1/auth/users/login': login,
    'POST /v3/auth/user/login': login,
    'GET /v1/ns/operator/metrics': async () => json({ status: 'UP' }),
    'GET /v2/ns/operator/metrics': async () => result({ status: 'UP' }),
    'GET /v1/console/health/readiness': ready,
    'GET /v1/console/health/liveness': ready,
    'GET /v2/console/health/readiness': readyResult,
    'GET /v2/console/health/liveness': readyResult,
    'GET /v3/admin/core/state/readiness': readyResult,
    'GET /v3/admin/core/state/liveness': readyResult,
    'GET /v1/console/server/state': state,
    'GET /v3/admin/core/state': state,
    'GET /v1/console/namespaces': async () =>
      json({
        code: 200,
        message: null,
        data: [
          { namespace: '', namespaceShowName: 'public', namespaceDesc: null, quota: 200, configCount: 0, type: 0 },
        ],
      }),
  }
}
