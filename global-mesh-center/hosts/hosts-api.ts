/** Hosts at the API of a center: reports come in, operators and the console read (`contracts/host-report.ts`). */
import {
  hostsPath,
  maxReportBytes,
  type HostReport,
  type HostView,
  type ReportAnswer,
} from '../../contracts/host-report.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import type { ApiReply, ApiRequest, ApiSection } from '../../agent/control/rules-api/api-section.ts'
import { may, type ApiUser } from '../../agent/control/rules-api/api-user.ts'
import { ourApiVersion, ourGroup } from '../namespaced-kind.ts'
import { readReport } from './read-report.ts'

export interface HostsApiDeps {
  /** Throws ApiError. */
  take(report: HostReport, from: string): ReportAnswer
  views(): readonly HostView[]
  view(name: string): HostView | undefined
  forget(name: string, by: ApiUser): boolean
  onRefused(reason: string, from: string, user: ApiUser): void
}

export class HostsApi implements ApiSection {
  readonly resources = [
    {
      ...ourGroup,
      name: 'hosts',
      singularName: 'host',
      shortNames: ['ho'],
      namespaced: false,
      kind: 'Host',
      verbs: ['get', 'list', 'delete'],
    },
  ]
  private readonly deps: HostsApiDeps

  constructor(deps: HostsApiDeps) {
    this.deps = deps
  }

  serves(path: string): boolean {
    return path === hostsPath || path.startsWith(`${hostsPath}/`)
  }

  /** Rejects with ApiError for every refusal. */
  answer(request: ApiRequest): Promise<ApiReply> {
    return Promise.resolve().then(() => this.reply(request))
  }

  private reply(request: ApiRequest): ApiReply {
    const { method, path, user } = request
    const name = path === hostsPath ? undefined : path.slice(hostsPath.length + 1)
    const isRead = method === 'GET' || method === 'HEAD'
    if (isRead && !may(user, false, undefined))
      throw new ApiError(403, `${user.name}: hosts are shown to tokens that read all namespaces`)
    if (isRead && name === undefined) {
      const items = this.deps.views().map(shown)
      return { status: 200, body: { kind: 'HostList', apiVersion: ourApiVersion, metadata: {}, items } }
    }
    if (name === undefined) throw new ApiError(405, `${method} ${path}: not allowed`)
    if (method === 'PUT') return this.take(request, name)
    if (!isRead && method !== 'DELETE') throw new ApiError(405, `${method} ${path}: not allowed`)
    const view = this.deps.view(name)
    if (isRead && view !== undefined) return { status: 200, body: shown(view) }
    if (!isRead && user.role !== 'admin')
      throw new ApiError(403, `${user.name}: to forget a host needs the role admin, the token has ${user.role}`)
    if (view === undefined || !this.deps.forget(name, user))
      throw new ApiError(404, `hosts "${name.slice(0, 253)}" not found`, { name: name.slice(0, 253), kind: 'hosts' })
    return { status: 200, body: { kind: 'Status', apiVersion: 'v1', status: 'Success' } }
  }

  private take({ body, user, from, contentType }: ApiRequest, name: string): ApiReply {
    try {
      if (user.role !== 'admin' && !(user.role === 'host' && user.name === name))
        throw new ApiError(403, `${user.name} may not report as host ${name.slice(0, 253)}`)
      if (!/^application\/json(?:;|$)/i.test(contentType)) throw new ApiError(415, 'allowed application/json')
      const bytes = Buffer.byteLength(body)
      if (bytes > maxReportBytes) throw new ApiError(413, `the report: ${bytes} bytes, allowed ${maxReportBytes}`)
      const report = readReport(parsed(body))
      if (report.host !== name) throw new ApiError(422, `host: found ${report.host}, allowed ${name}, as the path says`)
      const answer = this.deps.take(report, from)
      return { status: 200, body: { kind: 'Status', apiVersion: 'v1', status: 'Success', ...answer } }
    } catch (error) {
      if (error instanceof ApiError) this.deps.onRefused(error.message, from, user)
      throw error
    }
  }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new ApiError(400, 'the report is no JSON')
  }
}

function shown(view: HostView): object {
  const { firstHeardAt, host, report } = view
  const metadata = { name: host, labels: report.labels, creationTimestamp: new Date(firstHeardAt).toISOString() }
  return { apiVersion: ourApiVersion, kind: 'Host', metadata, status: view }
}
